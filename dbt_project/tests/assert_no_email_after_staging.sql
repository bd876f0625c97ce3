-- An e-mail address goes no further than staging: no column of an intermediate
-- model, a snapshot or a mart may be named for one.
{% set downstream = [
    ref('int_loans_summed_to_customers'),
    ref('int_atm_transactions_summed_to_customers'),
    ref('int_credit_profiles_joined_to_customers'),
    ref('int_cities_spelled'),
    ref('int_city_stays_merged'),
    ref('snap_core_banking__customers'),
    ref('snap_credit_bureau__credit_profiles'),
    ref('dim_customers'),
    ref('dim_city_spellings'),
    ref('fct_customers'),
    ref('fct_loans'),
    ref('fct_atm_transactions'),
    ref('fct_atm_daily'),
    ref('fct_complaints'),
    ref('fct_credit_history'),
    ref('fct_unknown_customers'),
    ref('entitlements'),
] %}
with

column_names as (

    {% for relation in downstream -%}
    {% for column in adapter.get_columns_in_relation(relation) -%}
    select
        '{{ relation.identifier }}' as model_name,
        '{{ column.name | lower }}' as column_name
    union all
    {% endfor -%}
    {%- endfor %}
    select
        '' as model_name,
        '' as column_name

)

select *

from column_names

where column_name like '%mail%'
