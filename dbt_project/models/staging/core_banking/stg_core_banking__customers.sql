with

source as (

    select * from {{ source('core_banking', 'customers') }}

),

renamed as (

    select
        ---------- ids
        cast(customer_id as bigint) as customer_id,

        ---------- strings
        trim(name) as customer_name,
        lower(trim(email)) as customer_email,
        trim(city) as city

    from source

)

select * from renamed
