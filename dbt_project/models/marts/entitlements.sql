with

grants as (

    {{ rows_of(var('entitlements'), ['user_name', 'group_type', 'group_value']) }}

),

cities as (

    select * from {{ ref('int_cities_spelled') }}

),

-- A grant given twice, or for two spellings of one city, is one grant.
resolved as (

    select distinct
        grants.user_name,
        grants.group_type,
        coalesce(cities.city, grants.group_value) as group_value

    from grants

    left join cities
        on
            grants.group_type = 'city'
            and {{ text_key('grants.group_value') }} = cities.city_key

)

select
    user_name,
    group_type,
    group_value

from resolved
