-- The fact is incremental: a late month that was missed, or rows that left the
-- lake, would show here. `dbt build --full-refresh` rebuilds it from the lake.
with

arrived as (

    select
        {{ month_of('transaction_date') }} as transaction_month,
        count(*) as transaction_count,
        sum(amount) as amount_total

    from {{ ref('stg_atm__transactions') }}

    group by {{ month_of('transaction_date') }}

),

stored as (

    select
        {{ month_of('transaction_date') }} as transaction_month,
        count(*) as transaction_count,
        sum(amount) as amount_total

    from {{ ref('fct_atm_transactions') }}

    group by {{ month_of('transaction_date') }}

)

select
    coalesce(arrived.transaction_month, stored.transaction_month)
        as transaction_month,
    arrived.transaction_count as arrived_count,
    stored.transaction_count as stored_count

from arrived

full outer join stored
    on arrived.transaction_month = stored.transaction_month

where
    coalesce(arrived.transaction_count, 0)
    <> coalesce(stored.transaction_count, 0)
    or coalesce(arrived.amount_total, 0) <> coalesce(stored.amount_total, 0)
