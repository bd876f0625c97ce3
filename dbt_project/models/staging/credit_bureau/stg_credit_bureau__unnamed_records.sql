with

source as (

    select * from {{ source('credit_bureau', 'credit_profiles') }}

),

renamed as (

    select
        ---------- where it was delivered
        _source_file as source_file,
        _source_row as source_row,

        ---------- timestamps
        _ingested_at as ingested_at_utc

    from source

    where customer_id is null

)

select * from renamed
