-- The daily table loses nothing to customers that core banking doesn't know.
with

daily as (

    select
        transaction_date,
        sum(transaction_count) as transaction_count,
        sum(amount_total) as amount_total

    from {{ ref('fct_atm_daily') }}

    group by transaction_date

),

transactions as (

    select
        transaction_date,
        count(*) as transaction_count,
        sum(amount) as amount_total

    from {{ ref('fct_atm_transactions') }}

    group by transaction_date

)

select
    coalesce(daily.transaction_date, transactions.transaction_date)
        as transaction_date

from daily

full outer join transactions
    on daily.transaction_date = transactions.transaction_date

where
    coalesce(daily.transaction_count, 0)
    <> coalesce(transactions.transaction_count, 0)
    or coalesce(daily.amount_total, 0) <> coalesce(transactions.amount_total, 0)
