{#
    A customer without loans has 0 of everything. Where the credit record was
    refused, or may have been, nothing is known, and NULL says so.
#}
{% macro zero_where_known(column_name, data_type) -%}
    case
        when credit_record_status in ('present', 'absent')
            then cast(coalesce({{ column_name }}, 0) as {{ data_type }})
    end
{%- endmacro %}
