{#
    Who has left the bank leaves its history too. A build with --empty reads
    no customers, and that is nobody's leaving.
#}
{% macro forget_left_customers() -%}
    {%- if not flags.EMPTY %}
    delete from {{ this }}
    where customer_id not in (
        select customer_id from {{ ref('stg_core_banking__customers') }}
    )
    {%- endif %}
{%- endmacro %}
