with

transactions as (

    select * from {{ ref('fct_atm_transactions') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

summed_to_hours as (

    select
        transactions.transaction_date,
        transactions.transaction_hour,
        transactions.transaction_type,
        customers.city,

        cast(count(*) as bigint) as transaction_count,
        cast(sum(transactions.amount) as decimal(18, 2)) as amount_total

    from transactions

    left join customers
        on transactions.customer_id = customers.customer_id

    group by
        transactions.transaction_date,
        transactions.transaction_hour,
        transactions.transaction_type,
        customers.city

)

select * from summed_to_hours

order by
    transaction_date,
    transaction_hour,
    transaction_type,
    city
