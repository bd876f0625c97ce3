-- Each customer's ranges follow each other without a gap, and the last one,
-- open, says what fct_customers says.
with

customers as (

    select * from {{ ref('fct_customers') }}

),

history as (

    select
        *,
        lead(valid_from_utc) over (
            partition by customer_id order by valid_from_utc
        ) as next_from_utc

    from {{ ref('fct_credit_history') }}

),

broken as (

    select customer_id

    from history

    where valid_to_utc is distinct from next_from_utc

),

differing as (

    select customers.customer_id

    from customers

    left join history
        on
            customers.customer_id = history.customer_id
            and history.valid_to_utc is null

    where
        history.customer_id is null
        or customers.city is distinct from history.city
        or customers.province is distinct from history.province
        or customers.credit_record_status <> history.credit_record_status
        or customers.credit_score is distinct from history.credit_score
        or customers.credit_band is distinct from history.credit_band
        or customers.delinquencies is distinct from history.delinquencies
        or customers.loan_count is distinct from history.loan_count
        or customers.loan_total is distinct from history.loan_total
        {% for loan_type in loan_types() -%}
        or customers.{{ loan_type }}_loan_total
        is distinct from history.{{ loan_type }}_loan_total
        {% endfor %}

)

select customer_id from broken

union all

select customer_id from differing
