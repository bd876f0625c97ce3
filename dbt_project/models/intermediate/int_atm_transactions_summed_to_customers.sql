with

transactions as (

    select * from {{ ref('stg_atm__transactions') }}

),

signed as (

    select
        customer_id,
        transaction_date,
        case when transaction_type = 'deposit' then 1 else 0 end as is_deposit,
        case when transaction_type = 'deposit' then amount else 0 end
            as deposit,
        case when transaction_type = 'withdrawal' then 1 else 0 end
            as is_withdrawal,
        case when transaction_type = 'withdrawal' then amount else 0 end
            as withdrawal

    from transactions

),

summed_to_customers as (

    select
        customer_id,

        cast(count(*) as bigint) as atm_transaction_count,
        cast(sum(is_deposit) as bigint) as deposit_count,
        cast(sum(deposit) as decimal(18, 2)) as deposit_total,
        cast(sum(is_withdrawal) as bigint) as withdrawal_count,
        cast(sum(withdrawal) as decimal(18, 2)) as withdrawal_total,
        cast(sum(deposit) - sum(withdrawal) as decimal(18, 2)) as net_flow,
        min(transaction_date) as first_transaction_date,
        max(transaction_date) as last_transaction_date

    from signed

    group by customer_id

)

select * from summed_to_customers
