with

customers as (

    select * from {{ ref('stg_core_banking__customers') }}

),

cities as (

    select * from {{ ref('int_cities_spelled') }}

),

located as (

    select
        customers.customer_id,
        customers.customer_name,
        customers.customer_name_key,
        coalesce(customers.customer_name || ' · #', '#')
        || cast(customers.customer_id as varchar) as customer_label,
        cities.city,
        cities.province,
        cities.latitude,
        cities.longitude

    from customers

    left join cities
        on customers.city_key = cities.city_key

)

select * from located

order by customer_id
