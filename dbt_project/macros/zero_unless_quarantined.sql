{#
    A customer without loans has 0 of everything; of a customer whose credit
    record is quarantined nothing is known, and NULL says so.
#}
{% macro zero_unless_quarantined(column_name, data_type) -%}
    case
        when credit_record_status = 'quarantined' then cast(null as {{ data_type }})
        else cast(coalesce({{ column_name }}, 0) as {{ data_type }})
    end
{%- endmacro %}
