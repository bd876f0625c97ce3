with

complaints as (

    select * from {{ ref('stg_feedback__complaints') }}

)

select
    feedback_id,
    category,
    description,
    occurred_at_utc,
    cast({{ bank_time('occurred_at_utc') }} as date) as complaint_date

from complaints

order by
    occurred_at_utc,
    feedback_id
