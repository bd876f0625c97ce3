{#
    Who has left the bank leaves its history too.
#}
{% macro forget_left_customers() -%}
    delete from {{ this }}
    where customer_id not in (
        select customer_id from {{ ref('stg_core_banking__customers') }}
    )
{%- endmacro %}
