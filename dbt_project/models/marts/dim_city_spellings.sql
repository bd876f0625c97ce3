with

customers as (

    select * from {{ ref('stg_core_banking__customers') }}

),

cities as (

    select * from {{ ref('int_cities_spelled') }}

),

counted as (

    select
        customers.city_spelling,
        cities.city,
        cities.province,
        cast(count(*) as bigint) as customer_count

    from customers

    inner join cities
        on customers.city_key = cities.city_key

    group by
        customers.city_spelling,
        cities.city,
        cities.province

)

select * from counted

order by
    city,
    city_spelling
