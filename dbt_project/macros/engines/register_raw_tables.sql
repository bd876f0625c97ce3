{#
    On DuckDB the lake is an attached catalog, and a source's schema is a set
    of views onto it, so that source() names the same schema and table on
    every engine. A table that no batch has reached yet gets an empty view of
    its declared columns: a bank without complaints still has its marts.
    Trino and Athena find the raw tables in their own catalog.
#}
{% macro register_raw_tables() -%}
    {{ return(adapter.dispatch('register_raw_tables')()) }}
{%- endmacro %}

{% macro default__register_raw_tables() -%}
{%- endmacro %}

{% macro duckdb__register_raw_tables() -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake'"
        ).columns[0].values() -%}
        {%- for source in graph.sources.values() if source.package_name == project_name -%}
            {%- set name = source.schema ~ '.' ~ source.identifier %}
            create schema if not exists {{ source.schema }};
            create or replace view {{ name }} as
            {% if name in found -%}
                select * from lake.{{ name }};
            {%- else -%}
                {%- do log(name ~ ' is not in the lake yet: an empty view stands in', info=true) -%}
                select
                {%- for column in source.columns.values() %}
                    cast(null as {{ column.data_type }}) as {{ column.name }}{{ "," if not loop.last }}
                {%- endfor %}
                where false;
            {%- endif %}
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}
