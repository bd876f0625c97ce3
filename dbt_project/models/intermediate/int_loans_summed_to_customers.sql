with

loans as (

    select * from {{ ref('stg_credit_bureau__loans') }}

),

summed_to_customers as (

    select
        customer_id,

        cast(count(*) as bigint) as loan_count,
        cast(sum(amount) as decimal(18, 2)) as loan_total,
        {%- for loan_type in loan_types() %}
        cast(
            sum(case when loan_type = '{{ loan_type }}' then amount else 0 end)
            as decimal(18, 2)
        ) as {{ loan_type }}_loan_total{{ "," if not loop.last }}
        {%- endfor %}

    from loans

    group by customer_id

)

select * from summed_to_customers
