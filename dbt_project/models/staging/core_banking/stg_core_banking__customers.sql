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
        case when {{ text_key('name') }} <> '' then trim(both ' ' from name) end
            as customer_name,
        nullif({{ text_key('name') }}, '') as customer_name_key,
        nullif(lower(trim(both ' ' from email)), '') as customer_email,
        case when {{ text_key('city') }} <> '' then trim(both ' ' from city) end
            as city_spelling,
        nullif({{ text_key('city') }}, '') as city_key,

        ---------- timestamps
        _ingested_at as ingested_at_utc

    from source

)

select * from renamed
