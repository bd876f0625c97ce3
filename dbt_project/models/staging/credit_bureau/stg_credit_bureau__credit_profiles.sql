with

source as (

    select * from {{ source('credit_bureau', 'credit_profiles') }}

),

ranked as (

    select
        *,
        -- Where a customer has a valid record and a refused one, nobody can say
        -- which of them is right.
        row_number() over (
            partition by customer_id
            order by
                case when record_status = 'present' then 1 else 0 end,
                _source_file,
                _source_row
        ) as record_rank

    from source

),

renamed as (

    select
        ---------- ids
        cast(customer_id as bigint) as customer_id,

        ---------- strings
        record_status as credit_record_status,

        ---------- numerics
        cast(credit_score as integer) as credit_score,
        cast(delinquencies as integer) as delinquencies,

        ---------- timestamps
        _ingested_at as ingested_at_utc

    from ranked

    where record_rank = 1

)

select * from renamed
