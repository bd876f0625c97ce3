with

stays as (

    select * from {{ ref('int_city_stays_merged') }}

),

credit_profiles as (

    select * from {{ ref('snap_credit_bureau__credit_profiles') }}

    where dbt_valid_to is null or dbt_valid_to > dbt_valid_from

),

credit_bands as (

    select * from {{ ref('credit_bands') }}

),

-- A range of the history is one in which neither city nor profile changed.
overlapping as (

    select
        credit_profiles.*,
        stays.city,
        stays.province,
        case
            when credit_profiles.dbt_valid_from > stays.dbt_valid_from
                then credit_profiles.dbt_valid_from
            else stays.dbt_valid_from
        end as valid_from_utc,
        case
            when credit_profiles.dbt_valid_to <= stays.dbt_valid_to
                then credit_profiles.dbt_valid_to
            when credit_profiles.dbt_valid_to > stays.dbt_valid_to
                then stays.dbt_valid_to
            -- One of them is open: the other one, or none, ends the range.
            else coalesce(credit_profiles.dbt_valid_to, stays.dbt_valid_to)
        end as valid_to_utc

    from credit_profiles

    inner join stays
        on
            credit_profiles.customer_id = stays.customer_id
            and (
                stays.dbt_valid_to is null
                or credit_profiles.dbt_valid_from < stays.dbt_valid_to
            )
            and (
                credit_profiles.dbt_valid_to is null
                or credit_profiles.dbt_valid_to > stays.dbt_valid_from
            )

),

final as (

    select
        ---------- customer and range
        overlapping.customer_id,
        overlapping.valid_from_utc,
        overlapping.valid_to_utc,
        cast({{ bank_time('overlapping.valid_from_utc') }} as date)
            as valid_from_date,
        cast({{ bank_time('overlapping.valid_to_utc') }} as date)
            as valid_to_date,

        ---------- credit
        overlapping.credit_record_status,
        overlapping.credit_score,
        credit_bands.credit_band,
        overlapping.delinquencies,

        ---------- loans
        overlapping.loan_count,
        overlapping.loan_total,
        {% for loan_type in loan_types() -%}
        overlapping.{{ loan_type }}_loan_total,
        {% endfor %}
        ---------- where the customer lived then
        overlapping.city,
        overlapping.province

    from overlapping

    left join credit_bands
        on
            overlapping.credit_score
            between credit_bands.score_minimum and credit_bands.score_maximum

)

select * from final

order by customer_id, valid_from_utc
