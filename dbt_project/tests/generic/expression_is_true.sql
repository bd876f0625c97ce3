{# Passes when the expression, or the column followed by it, is false in no row; an unknown passes. #}
{% test expression_is_true(model, expression, column_name=none) %}

select *

from {{ model }}

where not ({{ column_name or '' }} {{ expression }})

{% endtest %}
