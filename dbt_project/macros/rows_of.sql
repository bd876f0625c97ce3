{#
    A list of dictionaries as rows of text columns; an empty list is an empty
    relation with the same columns.
#}
{% macro rows_of(dictionaries, column_names) -%}
    select
        {%- for column_name in column_names %}
        cast({{ column_name }} as varchar) as {{ column_name }}{{ "," if not loop.last }}
        {%- endfor %}

    from (
        values
        {%- for row in dictionaries %}
        (
            {%- for column_name in column_names -%}
            {{ dbt.string_literal(dbt.escape_single_quotes(row[column_name] | string)) }}
            {{- ", " if not loop.last -}}
            {%- endfor -%}
        ){{ "," if not loop.last }}
        {%- else %}
        ({{ (["null"] * (column_names | length)) | join(", ") }})
        {%- endfor %}
    ) as listed ({{ column_names | join(", ") }})
    {%- if not dictionaries %}

    where 1 = 0
    {%- endif %}
{%- endmacro %}
