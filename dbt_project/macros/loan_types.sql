{% macro loan_types() -%}
    {{ return(['car', 'house', 'business', 'student', 'personal']) }}
{%- endmacro %}
