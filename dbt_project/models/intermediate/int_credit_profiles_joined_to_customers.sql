with

customers as (

    select * from {{ ref('stg_core_banking__customers') }}

),

credit_profiles as (

    select * from {{ ref('stg_credit_bureau__credit_profiles') }}

),

loan_sums as (

    select * from {{ ref('int_loans_summed_to_customers') }}

),

joined as (

    select
        customers.customer_id,

        {{ credit_record_status() }} as credit_record_status,
        credit_profiles.credit_score,
        credit_profiles.delinquencies,

        loan_sums.loan_count,
        loan_sums.loan_total,
        {% for loan_type in loan_types() -%}
        loan_sums.{{ loan_type }}_loan_total,
        {% endfor %}
        -- All rows of a full snapshot are of one landing, which also says that
        -- a customer is no longer named.
        coalesce(
            (select max(landed.ingested_at_utc) from credit_profiles as landed),
            customers.ingested_at_utc
        ) as known_since_utc

    from customers

    left join credit_profiles
        on customers.customer_id = credit_profiles.customer_id

    left join loan_sums
        on customers.customer_id = loan_sums.customer_id

),

final as (

    select
        customer_id,
        credit_record_status,
        credit_score,
        delinquencies,
        {{ zero_where_known('loan_count', 'bigint') }} as loan_count,
        {{ zero_where_known('loan_total', 'decimal(18, 2)') }}
            as loan_total,
        {% for loan_type in loan_types() -%}
        {{ zero_where_known(loan_type ~ '_loan_total', 'decimal(18, 2)') }}
            as {{ loan_type }}_loan_total,
        {% endfor -%}
        known_since_utc

    from joined

)

select * from final
