{#
    A build whose engine was killed leaves the table that it was working on,
    and dbt on Trino makes a unit test's by a name that it then finds taken.
    DuckDB builds in files of its own; dbt-athena names each one anew.
#}
{% macro drop_left_tables() -%}
    {{ return(adapter.dispatch('drop_left_tables')()) }}
{%- endmacro %}

{% macro default__drop_left_tables() -%}
{%- endmacro %}

{% macro trino__drop_left_tables() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'test', 'snapshot', 'seed') -%}
        {%- for schema in graph.nodes.values() | map(attribute='schema') | unique -%}
            {%- set left = run_query(
                "select table_name from " ~ target.database ~ ".information_schema.tables where table_schema = '"
                ~ schema ~ "' and table_type = 'BASE TABLE' and table_name like '%!_!_dbt!_tmp' escape '!'"
            ).columns[0].values() -%}
            {%- for name in left -%}
                {%- do log('dropping ' ~ schema ~ '.' ~ name ~ ', which a killed build left', info=true) -%}
                {%- do adapter.drop_relation(
                    api.Relation.create(database=target.database, schema=schema, identifier=name, type='table')
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
