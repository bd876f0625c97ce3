{#
    A refused record that names nobody may belong to anyone without a record:
    as long as there is one, nobody's record is certainly absent.
#}
{% macro credit_record_status() -%}
    coalesce(
        credit_profiles.credit_record_status,
        case
            when
                exists (
                    select 1 from credit_profiles as unnamed
                    where unnamed.customer_id is null
                )
                then 'unknown'
            else 'absent'
        end
    )
{%- endmacro %}
