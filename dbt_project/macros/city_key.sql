{#
    What two spellings of a city share: no case, no accents (also those written
    as marks of their own), no stops or apostrophes, blanks for hyphens, tabs
    and no-break spaces.
    translate() takes away what has no counterpart, on every engine.
#}
{% macro city_key(column_name) -%}
    {%- set marked = "àáâäãåçèéêëìíîïñòóôöõùúûüýÿ-\u00a0\t" -%}
    {%- set plain = 'aaaaaaceeeeiiiinooooouuuuyy   ' -%}
    {%- set dropped = "\u0300\u0301\u0302\u0303\u0308\u0327.''’" -%}
    trim(
        both ' ' from
        translate(lower({{ column_name }}), '{{ marked }}{{ dropped }}', '{{ plain }}')
    )
{%- endmacro %}
