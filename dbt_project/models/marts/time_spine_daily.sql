with

numbers as (

    -- 51 years of days: 1 January 2000 to 31 December 2050.
    {{ dbt.generate_series(18628) }}

),

days as (

    select
        {{
            dbt.dateadd(
                'day',
                'cast(generated_number as integer) - 1',
                "cast('2000-01-01' as date)"
            )
        }} as date_day

    from numbers

)

select cast(date_day as date) as date_day

from days

order by date_day
