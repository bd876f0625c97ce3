{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='transaction_id',
        incremental_predicates=[merge_predicate_same('transaction_date')],
        on_schema_change='fail'
    )
}}

with

transactions as (

    select * from {{ ref('stg_atm__transactions') }}

),

{% if is_incremental() %}

stored as (

    select
        transaction_id,
        {{ month_of('transaction_date') }} as transaction_month

    from {{ this }}

),

stored_months as (

    select
        transaction_month,
        count(*) as transaction_count

    from stored

    group by transaction_month

),

arrived_months as (

    select
        {{ month_of('transaction_date') }} as transaction_month,
        count(*) as transaction_count

    from transactions

    group by {{ month_of('transaction_date') }}

),

-- A transaction's id is the hash of its fields, so rows never change and the
-- count tells whether a month is complete, however late its rows arrive.
changed_months as (

    select arrived_months.transaction_month

    from arrived_months

    left join stored_months
        on arrived_months.transaction_month = stored_months.transaction_month

    where
        arrived_months.transaction_count
        <> coalesce(stored_months.transaction_count, 0)

),

stored_ids as (

    select stored.transaction_id

    from stored

    inner join changed_months
        on stored.transaction_month = changed_months.transaction_month

),

new_transactions as (

    select transactions.*

    from transactions

    inner join changed_months
        on
            {{ month_of('transactions.transaction_date') }}
            = changed_months.transaction_month

    left join stored_ids
        on transactions.transaction_id = stored_ids.transaction_id

    where stored_ids.transaction_id is null

)

{% else %}

new_transactions as (

    select * from transactions

)

{% endif %}

select
    transaction_id,
    customer_id,
    atm_id,
    transaction_type,
    amount,
    transacted_at_local,
    transacted_at_utc,
    transaction_date,
    transaction_hour,
    transaction_weekday

from new_transactions

-- Stored in the order in which it is filtered: a customer within a month.
order by
    {{ month_of('transaction_date') }},
    customer_id,
    transacted_at_local,
    transaction_id
