-- What fct_customers says of a customer is what the facts add up to.
with

customers as (

    select * from {{ ref('fct_customers') }}

),

loan_totals as (

    select
        customer_id,
        count(*) as loan_count,
        sum(amount) as loan_total

    from {{ ref('fct_loans') }}

    group by customer_id

),

transaction_totals as (

    select
        customer_id,
        count(*) as transaction_count,
        sum(
            case when transaction_type = 'deposit' then amount else -amount end
        ) as net_flow

    from {{ ref('fct_atm_transactions') }}

    group by customer_id

)

select customers.customer_id

from customers

left join loan_totals
    on customers.customer_id = loan_totals.customer_id

left join transaction_totals
    on customers.customer_id = transaction_totals.customer_id

where
    coalesce(customers.loan_count, 0) <> coalesce(loan_totals.loan_count, 0)
    or coalesce(customers.loan_total, 0) <> coalesce(loan_totals.loan_total, 0)
    or customers.atm_transaction_count
    <> coalesce(transaction_totals.transaction_count, 0)
    or customers.net_flow <> coalesce(transaction_totals.net_flow, 0)
