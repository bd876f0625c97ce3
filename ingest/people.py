"""Invented customers: everything about one follows from the seed and the id.

So a customer needs no memory: any file can ask again for a name, a city or how active somebody is.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# Rough populations in thousands, so that big cities come first on a map. Names as in the city seed.
CITIES: dict[str, int] = {
    "Toronto": 2794,
    "Montreal": 1763,
    "Calgary": 1307,
    "Ottawa": 1017,
    "Edmonton": 1011,
    "Winnipeg": 750,
    "Mississauga": 718,
    "Vancouver": 662,
    "Brampton": 656,
    "Hamilton": 569,
    "Surrey": 568,
    "Quebec City": 549,
    "Halifax": 439,
    "Laval": 438,
    "London": 422,
    "Markham": 339,
    "Vaughan": 323,
    "Gatineau": 291,
    "Saskatoon": 266,
    "Kitchener": 257,
    "Longueuil": 254,
    "Burnaby": 249,
    "Windsor": 230,
    "Regina": 226,
    "Richmond": 210,
    "Richmond Hill": 202,
    "Oakville": 214,
    "Burlington": 187,
    "Oshawa": 175,
    "Sudbury": 166,
    "Sherbrooke": 173,
    "Abbotsford": 153,
    "Barrie": 148,
    "Saguenay": 145,
    "Kelowna": 145,
    "Guelph": 144,
    "Trois-Rivieres": 139,
    "St. Catharines": 137,
    "Kingston": 133,
    "St. John's": 111,
    "Thunder Bay": 109,
    "Red Deer": 101,
    "Lethbridge": 98,
    "Victoria": 92,
    "Moncton": 79,
    "Saint John": 70,
    "Fredericton": 63,
    "Charlottetown": 39,
    "Whitehorse": 28,
    "Yellowknife": 20,
}

_LOCALES = ("en_CA", "en_CA", "fr_CA", "en_IN", "it_IT")
_POOL_SEED = 23
_FIRST_NAMES, _LAST_NAMES = 700, 1_400
_DOMAINS = ("example.com", "example.org", "example.net")

_SALTS = ("city", "first", "last", "domain", "credit", "active", "level", "machine")


def uniform(seed: int, what: str, ids: Array) -> Array:
    """For each id a number in [0, 1) that depends on seed, ``what`` and the id alone."""
    salt = (_SALTS.index(what) + 1) * 0x9E3779B97F4A7C15
    mixed = ids.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
    mixed += np.uint64((salt + seed * 0xA24BAED4963EE407) % 2**64)
    # splitmix64's finisher: neighbouring ids come out unrelated.
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    fraction: Array = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fraction


def city_index(seed: int, ids: Array) -> Array:
    """Position in :data:`CITIES` of each customer's city."""
    weights = np.sqrt(np.array(list(CITIES.values()), dtype=np.float64))
    edges = np.cumsum(weights) / weights.sum()
    found: Array = np.searchsorted(edges, uniform(seed, "city", ids), side="right")
    return np.minimum(found, len(CITIES) - 1)


def has_credit_file(seed: int, ids: Array) -> Array:
    """Whether the bureau knows each customer: 24 of 25."""
    known: Array = uniform(seed, "credit", ids) >= 0.04
    return known


def activity(seed: int, ids: Array) -> Array:
    """How often each customer goes to a machine, from 0 (one in ten, never) to 1."""
    level = 0.15 + 0.85 * uniform(seed, "level", ids) ** 2
    active: Array = np.where(uniform(seed, "active", ids) < 0.1, 0.0, level)
    return active


def customers(seed: int, ids: Array) -> list[tuple[int, str, str, str]]:
    """(customer_id, name, e-mail, city) of each id; e-mail addresses are unique."""
    firsts, lasts = _names()
    places = list(CITIES)
    first = (uniform(seed, "first", ids) * len(firsts)).astype(int).tolist()
    last = (uniform(seed, "last", ids) * len(lasts)).astype(int).tolist()
    domain = (uniform(seed, "domain", ids) * len(_DOMAINS)).astype(int).tolist()
    city = city_index(seed, ids).tolist()
    return [
        (
            customer,
            f"{firsts[f][0]} {lasts[s][0]}",
            f"{firsts[f][1]}.{lasts[s][1]}.{customer}@{_DOMAINS[d]}",
            places[c],
        )
        for customer, f, s, d, c in zip(ids.tolist(), first, last, domain, city, strict=True)
    ]


@lru_cache(maxsize=1)
def _names() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """First and last names, each with its spelling for an e-mail address."""
    from faker import Faker

    fakers = [Faker(locale) for locale in _LOCALES]
    romanized = Faker("zh_CN")
    for number, faker in enumerate([*fakers, romanized]):
        faker.seed_instance(_POOL_SEED + number)
    firsts = [fakers[n % len(fakers)].first_name() for n in range(_FIRST_NAMES)]
    lasts = [
        romanized.last_romanized_name()
        if n % 7 == 0
        else "O'Brien"
        if n == 1
        else fakers[n % len(fakers)].last_name()
        for n in range(_LAST_NAMES)
    ]
    return [(n, _ascii(n)) for n in firsts], [(n, _ascii(n)) for n in lasts]


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in plain if letter.isalnum()) or "customer"
