-- Readers compare cities for plain equality: two spellings of one city would
-- split its customers. The seed must not name a city twice either.
with

cities as (

    select city from {{ ref('dim_customers') }}
    union distinct
    select city from {{ ref('fct_credit_history') }}
    union distinct
    select city from {{ ref('city_locations') }}

)

select {{ text_key('city') }} as city_key

from cities

where city is not null

group by {{ text_key('city') }}

having count(*) > 1
