{% snapshot snap_credit_bureau__credit_profiles %}

select * from {{ ref('int_credit_profiles_joined_to_customers') }}

{% endsnapshot %}
