{#
    A text without its marks: taken apart, all characters of Unicode's category
    M removed, put together again. DuckDB has one function for the three steps.
#}
{% macro unaccented(column_name) -%}
    {{ return(adapter.dispatch('unaccented')(column_name)) }}
{%- endmacro %}

{% macro default__unaccented(column_name) -%}
    normalize(regexp_replace(normalize({{ column_name }}, NFD), '\p{M}+', ''), NFC)
{%- endmacro %}

{% macro duckdb__unaccented(column_name) -%}
    strip_accents({{ column_name }})
{%- endmacro %}
