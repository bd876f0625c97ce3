with

loans as (

    select * from {{ ref('stg_credit_bureau__loans') }}

),

summed_to_customers as (

    select
        customer_id,

        {% for loan_type in loan_types() -%}
        cast(
            sum(case when loan_type = '{{ loan_type }}' then amount else 0 end)
            as decimal(18, 2)
        ) as {{ loan_type }}_loan_total,
        {% endfor -%}
        cast(sum(amount) as decimal(18, 2)) as loan_total,
        cast(count(*) as bigint) as loan_count

    from loans

    group by customer_id

)

select * from summed_to_customers
