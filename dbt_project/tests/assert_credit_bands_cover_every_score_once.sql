-- A gap leaves customers without a band, an overlap counts them twice.
with

credit_bands as (

    select * from {{ ref('credit_bands') }}

),

neighbours as (

    select
        score_minimum,
        score_maximum,
        lead(score_minimum) over (order by score_minimum) as next_minimum,
        row_number() over (order by score_minimum) as band_number

    from credit_bands

)

select *

from neighbours

where
    score_minimum > score_maximum
    or coalesce(next_minimum, 901) <> score_maximum + 1
    or (band_number = 1 and score_minimum <> 300)
