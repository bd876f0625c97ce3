{#
    The source's value must equal the target's: lets an engine that prunes
    while it joins (Trino, Athena) read only the months being merged into.
    Adapters name the two sides of their MERGE differently.
#}
{% macro merge_predicate_same(column_name) -%}
    {{ return(adapter.dispatch('merge_predicate_same')(column_name)) }}
{%- endmacro %}

{% macro default__merge_predicate_same(column_name) -%}
    {{ return('DBT_INTERNAL_DEST.' ~ column_name ~ ' = DBT_INTERNAL_SOURCE.' ~ column_name) }}
{%- endmacro %}

{% macro athena__merge_predicate_same(column_name) -%}
    {{ return('target.' ~ column_name ~ ' = src.' ~ column_name) }}
{%- endmacro %}
