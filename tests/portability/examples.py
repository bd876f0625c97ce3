"""SQL whose portability is known, because the engines were asked: see tests/jvm/portability."""

from __future__ import annotations

SETUP = (
    "create table t as select 1 as a, '1' as b, date '2026-11-22' as day",
    "create table s as select 1 as a, '1' as b, date '2026-11-22' as day",
)

ONLY_ON_DUCKDB = {
    "select strftime(day, '%Y') as y from t": "function strftime is unknown to Trino",
    "select list_value(a) as l from t": "function list_value is unknown to Trino",
    "select struct_pack(k := a) as s from t": "function struct_pack is unknown to Trino",
    "select string_agg(b, ',') as s from t": "function string_agg is unknown to Trino",
    "select median(a) as m from t": "function median is unknown to Trino",
    "select quantile_cont(a, 0.5) as m from t": "function quantile_cont is unknown to Trino",
    "select epoch_ms(a) as m from t": "function epoch_ms is unknown to Trino",
    "select today() as d from t": "function today is unknown to Trino",
    "select left(b, 1) as c from t": "function left is unknown to Trino",
    "select columns('a') from t": "function columns is unknown to Trino",
    "select * from range(3)": "function range is unknown to Trino",
    "select a::bigint as a from t": "operator :: is not among the portable ones",
    "select {'k': 1} as s from t": "operator { is not among the portable ones",
    "select b ->> 'k' as v from t": "operator ->> is not among the portable ones",
    "select a from t where a == 1": "operator == is not among the portable ones",
    "select a // 2 as h from t": "doesn't parse",
    "select a from t qualify row_number() over (order by a) = 1": "doesn't parse",
    "select a, count(*) as n from t group by all": "Group with all",
    "select a from t order by all": "ORDER BY ALL is not Trino's",
    "select * exclude (a) from t": "Star with except",
    "select * replace (1 as a) from t": "Star with replace",
    "select distinct on (a) a, b from t": "Distinct with on",
    "select a from t limit 3 offset 2": "Select with offset",
    "select a from t using sample 3": "sample",
    "select t.a from t asof join s on t.a >= s.a": "Join with method",
    "select t.a from t anti join s on t.a = s.a": "ANTI JOIN is not Trino's",
    "select a from t where b ilike 'x%'": "ILike is not among",
    "select day + interval 1 day as d from t": "Interval is not among",
    "from t": "FROM without SELECT",
    "select cast(a as text) as a from t": "type text is not one",
    "select cast(a as hugeint) as a from t": "type hugeint is not one",
    "select try_cast(b as int8) as a from t": "type int8 is not one",
    "select md5(b) as m from t": "function md5: ",
    "select contains(b, '1') as c from t": "function contains: ",
    "select log(a) as l from t": "function log: ",
    "select listagg(b, ',') as l from t": "function listagg: ",
}
"""What runs on DuckDB and not on Trino, and what is said of it."""

BY_ITS_ALIAS = (
    "select a + 1 as more from t where more > 1",
    "select a + 1 as more, more + 1 as most from t",
    "select lower(b) as name, count(*) as n from t group by name",
    "select count(*) as n from t having n > 0",
)
"""DuckDB lets a column be named before it stands."""

DIFFERENT = {
    "7 / 2": "7 / 2 is 3 on Trino",
    "cast(7 as integer) / 2": "7 / 2 is 3 on Trino",
    "cast(7.00 as decimal(18, 2)) / 3": "7 / 2 is 3 on Trino",
    "cast('abcdef' as varchar(3))": "varchar(n) cuts on Trino",
    "substr('abc', 0, 2)": "function substr: ",
    "substring('abc', 0, 2)": "function substring: ",
    "extract(dow from date '2026-11-22')": "extract(DOW …) counts otherwise",
    "concat('a', null)": "function concat: ",
    "cast(timestamp '2026-11-22 00:00:00' at time zone 'America/Toronto' as timestamp(6))": (
        "a plain timestamp AT TIME ZONE"
    ),
    "date_diff('month', date '2026-01-31', date '2026-02-01')": "function date_diff: ",
    "greatest(1, null)": "function greatest: ",
    "least(1, null)": "function least: ",
    "ltrim('\u00a0a')": "function ltrim: ",
    "millisecond(timestamp '2026-11-22 23:59:59.123')": "function millisecond: ",
    "regexp_extract('abc', 'z')": "function regexp_extract: ",
    "regexp_replace('aXbX', 'X', '-')": "function regexp_replace: ",
    "reverse('👩\u200d💻')": "function reverse: ",
    "rtrim('a\t')": "function rtrim: ",
    "split_part('a-b', '-', 3)": "function split_part: ",
    "trim(' a\t')": "function trim: ",
    "trim('a\u00a0')": "function trim: ",
    "upper('ß')": "function upper: ",
}
"""What runs on both and answers another value, and what is said of it."""

PORTABLE = (
    """select cast(date_trunc('month', day) as date) as m, count(*) as n from t
    group by cast(date_trunc('month', day) as date) order by m""",
    """with x as (select a, row_number() over (partition by b order by a) as r from t)
    select x.a from x left join t on x.a = t.a where x.r = 1""",
    "select u from (values ('v'), (null)) as listed (u) order by u",
    "select cast(sum(a) as double) / cast(nullif(count(*), 0) as double) as q from t",
    "select cast(null as decimal(18, 2)) as d, lower(b) || ' :: [x]' as c from t",
    "select count(distinct a) filter (where a between 1 and 2) as n from t",
    "select trim(both ' ' from ' a\t ') || translate(b, '1', 'é') as c from t",
    "select a, extract(year from day) as y from t union all select 2, 3 order by a",
)
"""What gives the same rows everywhere."""
