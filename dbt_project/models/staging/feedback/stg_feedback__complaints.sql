with

source as (

    select * from {{ source('feedback', 'complaints') }}

),

ranked as (

    select
        *,
        -- The first delivery wins; a replay of the topic changes nothing.
        row_number() over (
            partition by feedback_id
            order by _ingested_at, _source_file, _source_row
        ) as delivery

    from source

),

renamed as (

    select
        ---------- ids
        feedback_id,

        ---------- strings
        category,
        description,

        ---------- timestamps
        cast(occurred_at_utc as timestamp(6)) as occurred_at_utc

    from ranked

    where delivery = 1

)

select * from renamed
