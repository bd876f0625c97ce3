with

source as (

    select * from {{ source('atm', 'transactions') }}

),

renamed as (

    select
        ---------- ids
        transaction_id,
        cast(customer_id as bigint) as customer_id,
        cast(atm_id as bigint) as atm_id,

        ---------- strings
        transaction_type,

        ---------- numerics
        cast(amount as decimal(18, 2)) as amount,
        cast(transaction_hour as integer) as transaction_hour,
        cast(transaction_weekday as integer) as transaction_weekday,

        ---------- booleans
        is_ambiguous_local_time,
        is_twin,

        ---------- dates and timestamps
        transaction_date,
        cast(transacted_at_local as timestamp(6)) as transacted_at_local,
        cast(transacted_at_utc as timestamp(6)) as transacted_at_utc

    from source

)

select * from renamed
