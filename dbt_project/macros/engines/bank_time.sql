{#
    A plain timestamp by the bank's clock, of a plain one in UTC. The zone is
    the variable `timezone`; each engine converts in a function of its own.
#}
{% macro bank_time(utc) -%}
    {{ return(adapter.dispatch('bank_time')(utc)) }}
{%- endmacro %}

{% macro default__bank_time(utc) -%}
    cast(with_timezone({{ utc }}, 'UTC') at time zone '{{ var("timezone") }}' as timestamp(6))
{%- endmacro %}

{% macro duckdb__bank_time(utc) -%}
    timezone('{{ var("timezone") }}', timezone('UTC', {{ utc }}))
{%- endmacro %}
