with

customers as (

    select * from {{ ref('dim_customers') }}

),

credit_profiles as (

    select * from {{ ref('stg_credit_bureau__credit_profiles') }}

),

loan_sums as (

    select * from {{ ref('int_loans_summed_to_customers') }}

),

transaction_sums as (

    select * from {{ ref('int_atm_transactions_summed_to_customers') }}

),

named as (

    select customer_id from credit_profiles
    where customer_id is not null
    union distinct
    select customer_id from loan_sums
    union distinct
    select customer_id from transaction_sums

),

joined as (

    select
        named.customer_id,

        {{ credit_record_status() }} as credit_record_status,
        loan_sums.loan_count,
        loan_sums.loan_total,
        coalesce(transaction_sums.atm_transaction_count, 0)
            as atm_transaction_count,
        coalesce(transaction_sums.deposit_total, 0) as deposit_total,
        coalesce(transaction_sums.withdrawal_total, 0) as withdrawal_total,
        transaction_sums.first_transaction_date,
        transaction_sums.last_transaction_date

    from named

    left join customers
        on named.customer_id = customers.customer_id

    left join credit_profiles
        on named.customer_id = credit_profiles.customer_id

    left join loan_sums
        on named.customer_id = loan_sums.customer_id

    left join transaction_sums
        on named.customer_id = transaction_sums.customer_id

    where customers.customer_id is null

),

final as (

    select
        customer_id,
        credit_record_status,
        {{ zero_where_known('loan_count', 'bigint') }} as loan_count,
        {{ zero_where_known('loan_total', 'decimal(18, 2)') }}
            as loan_total,
        cast(atm_transaction_count as bigint) as atm_transaction_count,
        cast(deposit_total as decimal(18, 2)) as deposit_total,
        cast(withdrawal_total as decimal(18, 2)) as withdrawal_total,
        first_transaction_date,
        last_transaction_date

    from joined

)

select * from final

order by customer_id
