-- A row of a fact has a customer of core banking or an orphan, and never both.
with

facts as (

    select customer_id from {{ ref('fct_loans') }}
    union distinct
    select customer_id from {{ ref('fct_atm_transactions') }}

),

customers as (

    select customer_id from {{ ref('dim_customers') }}

),

orphans as (

    select customer_id from {{ ref('fct_unknown_customers') }}

)

select facts.customer_id

from facts

left join customers
    on facts.customer_id = customers.customer_id

left join orphans
    on facts.customer_id = orphans.customer_id

where (customers.customer_id is null) <> (orphans.customer_id is not null)
