{#
    No name and no e-mail: a history keeps what is asked of it, and no more.
#}
{% snapshot snap_core_banking__customers %}

select
    customer_id,
    city_spelling as city,
    ingested_at_utc as known_since_utc

from {{ ref('stg_core_banking__customers') }}

{% endsnapshot %}
