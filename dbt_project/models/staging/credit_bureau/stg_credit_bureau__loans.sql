with

source as (

    select * from {{ source('credit_bureau', 'loans') }}

),

renamed as (

    select
        ---------- ids
        cast(customer_id as bigint) as customer_id,
        cast(loan_number as integer) as loan_number,

        ---------- strings
        loan_type,

        ---------- numerics
        cast(amount as decimal(18, 2)) as amount

    from source

)

select * from renamed
