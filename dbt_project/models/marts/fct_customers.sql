with

customers as (

    select * from {{ ref('dim_customers') }}

),

credit_profiles as (

    select * from {{ ref('int_credit_profiles_joined_to_customers') }}

),

credit_bands as (

    select * from {{ ref('credit_bands') }}

),

transaction_sums as (

    select * from {{ ref('int_atm_transactions_summed_to_customers') }}

),

joined as (

    select
        customers.*,

        credit_profiles.credit_record_status,
        credit_profiles.credit_score,
        credit_bands.credit_band,
        credit_profiles.delinquencies,

        credit_profiles.loan_count,
        credit_profiles.loan_total,
        {% for loan_type in loan_types() -%}
        credit_profiles.{{ loan_type }}_loan_total,
        {% endfor %}
        coalesce(transaction_sums.atm_transaction_count, 0)
            as atm_transaction_count,
        coalesce(transaction_sums.deposit_count, 0) as deposit_count,
        coalesce(transaction_sums.deposit_total, 0) as deposit_total,
        coalesce(transaction_sums.withdrawal_count, 0) as withdrawal_count,
        coalesce(transaction_sums.withdrawal_total, 0) as withdrawal_total,
        coalesce(transaction_sums.net_flow, 0) as net_flow,
        transaction_sums.first_transaction_date,
        transaction_sums.last_transaction_date

    from customers

    inner join credit_profiles
        on customers.customer_id = credit_profiles.customer_id

    left join credit_bands
        on
            credit_profiles.credit_score
            between credit_bands.score_minimum and credit_bands.score_maximum

    left join transaction_sums
        on customers.customer_id = transaction_sums.customer_id

),

final as (

    select
        ---------- customer
        customer_id,
        customer_name,
        customer_label,
        city,
        province,
        latitude,
        longitude,

        ---------- credit
        credit_record_status,
        credit_score,
        credit_band,
        delinquencies,

        ---------- loans
        loan_count,
        loan_total,
        {% for loan_type in loan_types() -%}
        {{ loan_type }}_loan_total,
        {% endfor %}
        ---------- ATM activity
        atm_transaction_count,
        deposit_count,
        cast(deposit_total as decimal(18, 2)) as deposit_total,
        withdrawal_count,
        cast(withdrawal_total as decimal(18, 2)) as withdrawal_total,
        cast(net_flow as decimal(18, 2)) as net_flow,
        first_transaction_date,
        last_transaction_date

    from joined

)

select * from final

order by customer_id
