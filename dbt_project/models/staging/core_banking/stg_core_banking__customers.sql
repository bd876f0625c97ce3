with

source as (

    select * from {{ source('core_banking', 'customers') }}

),

renamed as (

    select
        ---------- ids
        cast(customer_id as bigint) as customer_id,

        ---------- strings
        -- Written out, because a bare trim() takes tabs on Trino and no-break
        -- spaces on DuckDB.
        trim(both ' ' from name) as customer_name,
        lower(trim(both ' ' from email)) as customer_email,
        trim(both ' ' from city) as city,

        ---------- timestamps
        _ingested_at as ingested_at_utc

    from source

)

select * from renamed
