"""What became of the delivered cities: spellings that were merged, cities without a province."""

from __future__ import annotations

from pathlib import Path

from lakehouse.duck import connect_published

MART = "dim_city_spellings"
NAMED = 5
"""Cities that one warning names."""


def warnings(marts_file: Path) -> list[str]:
    """One sentence for merged spellings and one for cities that are on no map; often none."""
    with connect_published(marts_file) as connection:
        merged = connection.execute(
            f"SELECT city || ' (' || string_agg(city_spelling, ', ' ORDER BY city_spelling)"
            f" FILTER (city_spelling <> city) || ')' FROM {MART} GROUP BY city"
            " HAVING count(*) FILTER (city_spelling <> city) > 0"
            " ORDER BY sum(customer_count) FILTER (city_spelling <> city) DESC, city"
        ).fetchall()
        unplaced = connection.execute(
            f"SELECT city || ' (' || sum(customer_count) || ')' FROM {MART}"
            " WHERE province IS NULL GROUP BY city ORDER BY sum(customer_count) DESC, city"
        ).fetchall()
    found = []
    if merged:
        cities = "city has" if len(merged) == 1 else "cities have"
        found.append(
            f"{len(merged):,} {cities} spellings that were merged into one:"
            f" {_named(merged)}; all of them: discover sql 'SELECT * FROM {MART}'"
        )
    if unplaced:
        cities = "city is" if len(unplaced) == 1 else "cities are"
        found.append(
            f"{len(unplaced):,} {cities} not in dbt_project/seeds/city_locations.csv and on no map"
            f" (with customers): {_named(unplaced)}; compare the spelling, or add a row"
        )
    return found


def _named(cities: list[tuple[str]]) -> str:
    rest = len(cities) - NAMED
    listed = "; ".join(city for (city,) in cities[:NAMED])
    return f"{listed} and {rest:,} more" if rest > 0 else listed
