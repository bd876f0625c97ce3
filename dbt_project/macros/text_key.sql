{#
    Two texts are the same city or name exactly when their keys are equal. This
    is the only definition: the models call it, and lakehouse/text.py has DuckDB
    evaluate it for the words of a question, a filter or a grant.

    The key ignores case, accents (one character or letter and mark), invisible
    characters, and the kind and number of blanks. Letters that Unicode doesn't
    take apart are written plainly (ø is o, ß is ss). Punctuation counts: "St.
    John" is not "St. John's". An apostrophe or a hyphen is the same mark
    however a keyboard writes it.
#}
{% macro text_key(column_name) -%}
    {%- set blanks = "\t\n\u000b\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000" -%}
    {%- set apostrophes = "`\u00b4\u02b9\u02bb\u02bc\u02bd\u2018\u2019\u201b\u2032\uff07" -%}
    {%- set hyphens = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d" -%}
    {%- set letters = "\u00f0\u00f8\u0111\u0127\u0131\u0142\u0167\u017f\u03c2" -%}
    {%- set plain_letters = "dodhiltsσ" -%}
    {%- set invisible = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff" -%}
    {%- set two_letters = {"\u00df": 'ss', "\u00e6": 'ae', "\u0153": 'oe', "\u00fe": 'th'} -%}
    {#- translate() removes the characters that have no counterpart, on every engine. -#}
    {%- set from = blanks ~ apostrophes ~ hyphens ~ letters ~ invisible -%}
    {%- set to = ' ' * (blanks | length) ~ "'" * (apostrophes | length) ~ '-' * (hyphens | length) ~ plain_letters -%}
    {%- set key = namespace(
        sql="translate(lower(" ~ unaccented(column_name) ~ "), '" ~ from ~ "', '" ~ (to | replace("'", "''")) ~ "')"
    ) -%}
    {%- for letter, pair in two_letters.items() -%}
        {%- set key.sql = "replace(" ~ key.sql ~ ", '" ~ letter ~ "', '" ~ pair ~ "')" -%}
    {%- endfor -%}
    {#- Runs of blanks become one: "B" is a safe mark, because the text is in lower case. -#}
    {%- for found, instead in ((' ', ' B'), ('B ', ''), (' B', ' ')) -%}
        {%- set key.sql = "replace(" ~ key.sql ~ ", '" ~ found ~ "', '" ~ instead ~ "')" -%}
    {%- endfor -%}
    trim(both ' ' from {{ key.sql }})
{%- endmacro %}
