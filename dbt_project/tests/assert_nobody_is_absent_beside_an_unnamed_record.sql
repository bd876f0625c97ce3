-- A refused record that names nobody may be anybody's: nobody is known to have
-- no record then. Without such a record nobody's state is unknown.
with

unnamed_records as (

    select count(*) as record_count

    from {{ ref('stg_credit_bureau__credit_profiles') }}

    where customer_id is null

),

statuses as (

    select
        customer_id,
        credit_record_status
    from {{ ref('fct_customers') }}
    union all
    select
        customer_id,
        credit_record_status
    from {{ ref('fct_unknown_customers') }}

)

select statuses.customer_id

from statuses

cross join unnamed_records

where
    (
        unnamed_records.record_count > 0
        and statuses.credit_record_status = 'absent'
    )
    or (
        unnamed_records.record_count = 0
        and statuses.credit_record_status = 'unknown'
    )
