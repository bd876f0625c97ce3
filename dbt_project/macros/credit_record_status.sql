{#
    A refused record that names nobody may belong to anyone without a record:
    as long as there is one, nobody's record is certainly absent.
#}
{% macro credit_record_status(status, unnamed_count) -%}
    coalesce(
        {{ status }},
        case when {{ unnamed_count }} > 0 then 'unknown' else 'absent' end
    )
{%- endmacro %}
