with

grants as (

    {{ rows_of(var('entitlements'), ['user_name', 'group_type', 'group_value']) }}

)

select
    user_name,
    group_type,
    group_value

from grants
