{#
    DuckDB keeps the marts in a file of their own, attached as a database;
    a warehouse has one catalog for everything.
#}
{% macro generate_database_name(custom_database_name=none, node=none) -%}
    {{ return(adapter.dispatch('database_name_of')(custom_database_name)) }}
{%- endmacro %}

{% macro default__database_name_of(custom_database_name) -%}
    {{ return(target.database) }}
{%- endmacro %}

{% macro duckdb__database_name_of(custom_database_name) -%}
    {{ return(custom_database_name or target.database) }}
{%- endmacro %}
