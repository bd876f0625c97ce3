with

customers as (

    select
        *,
        coalesce({{ text_key('city') }}, '') as city_key

    from {{ ref('snap_core_banking__customers') }}

    -- What other code said of the same landing was corrected, not known.
    where dbt_valid_to is null or dbt_valid_to > dbt_valid_from

),

customers_compared as (

    select
        *,
        case
            when
                city_key = lag(city_key) over (
                    partition by customer_id order by dbt_valid_from
                )
                then 0
            else 1
        end as is_move

    from customers

),

customers_numbered as (

    select
        *,
        sum(is_move) over (
            partition by customer_id
            order by dbt_valid_from
            rows between unbounded preceding and current row
        ) as stay

    from customers_compared

),

-- A city that is spelled in another way is no move.
stays as (

    select
        customer_id,
        city_key,
        min(city) as city_spelling,
        min(dbt_valid_from) as dbt_valid_from,
        case when count(*) = count(dbt_valid_to) then max(dbt_valid_to) end
            as dbt_valid_to

    from customers_numbered

    group by
        customer_id,
        city_key,
        stay

),

cities as (

    select * from {{ ref('int_cities_spelled') }}

),

-- Where nobody lives now and the seed has no name: one of the former spellings.
former_spellings as (

    select
        city_key,
        min(city_spelling) as city

    from stays

    where city_key <> ''

    group by city_key

),

named as (

    select
        stays.customer_id,
        stays.dbt_valid_from,
        stays.dbt_valid_to,
        coalesce(cities.city, former_spellings.city) as city,
        cities.province

    from stays

    left join cities
        on stays.city_key = cities.city_key

    left join former_spellings
        on stays.city_key = former_spellings.city_key

)

select * from named
