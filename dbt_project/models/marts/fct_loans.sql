with

loans as (

    select * from {{ ref('stg_credit_bureau__loans') }}

)

select
    customer_id,
    loan_number,
    loan_type,
    amount

from loans

order by
    customer_id,
    loan_number
