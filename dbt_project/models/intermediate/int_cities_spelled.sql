with

customers as (

    select * from {{ ref('stg_core_banking__customers') }}

),

city_locations as (

    select
        city,
        {{ text_key('city') }} as city_key,
        province,
        latitude,
        longitude

    from {{ ref('city_locations') }}

),

spellings as (

    select
        city_key,
        city_spelling,
        count(*) as customer_count

    from customers

    where city_key is not null

    group by
        city_key,
        city_spelling

),

ranked as (

    select
        city_key,
        city_spelling,
        row_number() over (
            partition by city_key
            -- Of equally frequent spellings the first in the order of characters.
            order by customer_count desc, city_spelling asc
        ) as spelling_rank

    from spellings

),

most_frequent as (

    select * from ranked

    where spelling_rank = 1

),

named as (

    select
        coalesce(city_locations.city_key, most_frequent.city_key) as city_key,
        coalesce(city_locations.city, most_frequent.city_spelling) as city,
        city_locations.province,
        city_locations.latitude,
        city_locations.longitude

    from city_locations

    full outer join most_frequent
        on city_locations.city_key = most_frequent.city_key

)

select * from named
