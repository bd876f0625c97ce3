with

customers as (

    select * from {{ ref('stg_core_banking__customers') }}

),

city_locations as (

    select * from {{ ref('city_locations') }}

),

located as (

    select
        customers.customer_id,
        customers.customer_name,
        customers.customer_name || ' · #' || cast(customers.customer_id as varchar)
            as customer_label,
        customers.city,
        city_locations.province,
        city_locations.latitude,
        city_locations.longitude

    from customers

    left join city_locations
        on
            {{ city_key('customers.city') }}
            = {{ city_key('city_locations.city') }}

)

select * from located

order by customer_id
