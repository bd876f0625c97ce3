-- Each customer's ranges follow each other without a gap, and the last one,
-- open, says what fct_customers says.
{% set said -%}
    customer_id,
    credit_record_status,
    credit_score,
    credit_band,
    delinquencies,
    loan_count,
    loan_total,
    {% for loan_type in loan_types() -%}
{{ loan_type }}_loan_total,
    {% endfor -%}
    city,
    province
{%- endset %}
with

customers as (

    select * from {{ ref('fct_customers') }}

),

history as (

    select
        *,
        lead(valid_from_utc) over (
            partition by customer_id order by valid_from_utc
        ) as next_from_utc

    from {{ ref('fct_credit_history') }}

),

said_now as (

    select
        {{ said }}
    from customers

),

said_last as (

    select
        {{ said }}
    from history
    where valid_to_utc is null

),

broken as (

    select customer_id

    from history

    where
        valid_to_utc <> next_from_utc
        or (valid_to_utc is null and next_from_utc is not null)
        or (valid_to_utc is not null and next_from_utc is null)

),

left_out as (

    select * from said_now
    except
    select * from said_last

),

made_up as (

    select * from said_last
    except
    select * from said_now

)

select customer_id from broken
union all
select customer_id from left_out
union all
select customer_id from made_up
