"""Words and phrases: how a question is split, and what each phrase can mean."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from chat.registry import (
    CATEGORY_WORDS,
    DIMENSION_WORDS,
    METRIC_WORDS,
    NOUNS,
    VALUE_WORDS,
    Dimension,
    Lexicon,
    PhraseKind,
    Registry,
)
from lakehouse.text import key


def normal(text: str) -> str:
    """The key by which names and cities are compared; "&" and a dash between clauses are words."""
    return key(text.replace("—", " ").replace("&", " and "))


def words(text: str) -> list[str]:
    """The words of a phrase as the lexicon knows them: no plural, no possessive, no hyphen."""
    return [_stem(word) for word in as_written(text)]


def as_written(text: str) -> list[str]:
    """The same words, one for one, as they were written."""
    plain = re.sub(r"(?<=\d)\s*[-–]\s*(?=\d)", " to ", normal(text))
    # Letters of any script are words: one that nobody knows must be seen to be refused.
    return _TOKEN.findall(re.sub(r"(?<!\d)\.|\.(?!\d)", "", plain))


def _stem(word: str) -> str:
    word = word.removesuffix("'s").replace("'", "")
    if len(word) <= 3 or word.endswith(("ss", "us", "is")) or word[0].isdigit():
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s")


_TOKEN = re.compile(
    r"(?:(?<=\s)-)?\d[\d,]*(?:\.\d+)?[km]?\b|[^\W_]+(?:'[^\W_]+)*"
    r"|!=|<>|>=|<=|=>|=<|[<>=≥≤$€£%+*~^|\\;]"
)
_AMOUNT = re.compile(r"-?\d[\d,]*(?:\.\d+)?[km]?")
# PhraseKind, value, and the phrases that mean it. The longest phrase wins.
_PHRASES: tuple[tuple[PhraseKind, Any, str], ...] = (
    # How something is summed up.
    ("AGG", "count", "how many | number of | count | count of | number"),
    (
        "AGG",
        "amount",
        "how much | amount | amount of | dollar amount | money | value | sum | worth",
    ),
    ("AGG", "amount", "dollar value | balance | dollar | amount of money | sum of"),
    ("AGG", "total", "total | in total"),
    ("AGG", "average", "average | avg | mean | on average"),
    (
        "SHARE",
        None,
        "share | share of | percentage | percentage of | percent | percent of | what %",
    ),
    ("SHARE", None, "% of | proportion | proportion of | fraction | fraction of"),
    # Two days compared.
    ("CHANGE", None, "move | moved | change | changed | change in | change of | shift | shifted"),
    ("CHANGE", None, "evolve | evolved | develop | developed | grow | grew | grown | growth of"),
    ("CHANGE", None, "rise | rose | risen | fall | fell | fallen | improve | improved | worsened"),
    ("CHANGE", None, "increase | increased | decrease | decreased | decline | declined | drop"),
    ("CHANGE", None, "dropped | gone up | gone down | go up | go down | went up | went down"),
    # Groupings.
    ("BY", None, "by | per | each | every | across | across all | for each | in each | of each"),
    ("BY", None, "at each | from each | on each | by each | for every | in every | broken down by"),
    ("BY", None, "break down by | breakdown by | grouped by | group by | split by | split across"),
    ("BY", None, "compared by | distributed across | distributed by | distribution by"),
    ("BREAKDOWN", None, "breakdown | breakdown of | distribution | distribution of | split"),
    ("GROUP", "day", "daily | over time"),
    ("GROUP", "week", "weekly"),
    ("GROUP", "month", "monthly"),
    ("GROUP", "quarter", "quarterly"),
    ("GROUP", "year", "yearly"),
    ("GROUP", "transaction_hour", "hourly"),
    ("GRAIN", "day", "day | date"),
    ("GRAIN", "week", "week"),
    ("GRAIN", "month", "month"),
    ("GRAIN", "quarter", "quarter"),
    ("GRAIN", "year", "year"),
    ("TYPE", None, "type | kind"),
    # Rankings.
    ("RANK", "highest", "top | most | highest | largest | biggest | greatest | best"),
    ("RANK", "highest", "leading | busiest | most common | most frequent | most popular"),
    ("RANK", "lowest", "bottom | least | fewest | lowest | smallest"),
    ("RANK", "lowest", "worst | quietest | least common"),
    ("RANKED", "highest", "rank | ranked | ranking of"),
    # Comparisons.
    (
        "OP",
        ">",
        "more than | greater than | higher than | larger than | bigger than | over | above",
    ),
    ("OP", ">", "exceeding | exceeds | exceed | better than | upwards of | in excess of | >"),
    (
        "OP",
        ">=",
        "at least | no less than | not less than | no fewer than | minimum of | >= | ≥ | =>",
    ),
    ("OP", ">=", "a minimum of | not below | greater than or equal to"),
    ("OP", "<", "less than | fewer than | lower than | smaller than | under | below | <"),
    ("OP", "<=", "at most | no more than | not more than | maximum of | up to | <= | ≤ | =<"),
    ("OP", "<=", "a maximum of | not above | less than or equal to"),
    ("OP", "=", "exactly | equal to | equals | precisely | ="),
    ("POST", ">=", "or more | or higher | or above | or greater | or better | or over | +"),
    ("POST", ">=", "and above | and over | and up | and higher"),
    ("POST", "<=", "or less | or fewer | or lower | or below | or under | and below | and under"),
    ("BETWEEN", None, "between"),
    ("TO", None, "to"),
    ("MONEY", None, "$ | cad | canadian dollars"),
    # Having and not having.
    (
        "WITH",
        None,
        "with | have | has | had | having | hold | holds | holding | whose | made | own",
    ),
    ("WITH", None, "carry | carrying | with some | with any | got | making | make | have made"),
    ("WITHOUT", None, "without | without a | without any | with no | have no | has no | having no"),
    ("WITHOUT", None, "do not have | do not have a | do not have any | don't have | don't have a"),
    ("WITHOUT", None, "don't have any | does not have | doesn't have | not have | not having | no"),
    ("WITHOUT", None, "never made | made no | did not make | did not make any | didn't make"),
    ("WITHOUT", None, "didn't make any | have never made | do not hold | hold no | lack | zero"),
    ("WITHOUT", None, "lacking | never"),
    (
        "NOT",
        None,
        "not in | not from | not | outside | outside of | except | except for | excluding",
    ),
    ("NOT", None, "other than | apart from | but not | besides | not including | not living in"),
    # Asking, joining, pointing back.
    ("ASK", None, "which | what | list | list all | show | show all | name | whose"),
    ("WHO", None, "who | whom | anyone | everyone"),
    ("VERSUS", None, "versus | vs | compare | compared to | compared with"),
    ("OR", None, "or"),
    ("AND", None, "and | but"),
    ("PREPOSITION", None, "in | of | for | from | to the | among"),
    ("BE", None, "is | are | was | were | live | lives | living | lived | come | comes | based"),
    ("BE", None, "located | residing | reside | resides | belong | belongs | came | resident"),
    ("PRONOUN", None, "their | they | them | those | of those | of them | these | of these"),
    ("PRONOUN", None, "he | she | his | her | him"),
)
_STOP = (
    *("a", "all", "also", "an", "any", "as", "at", "be", "been", "being", "both", "do", "does"),
    *("did", "done", "on", "so", "than", "that", "the", "then", "there", "this", "it", "its"),
    *("i", "me", "my", "you", "your", "we", "us", "our", "ours", "can", "could", "would"),
    *("should", "will", "shall", "please", "kindly", "tell", "give", "get", "find", "display"),
    *("see", "want", "like", "know", "need", "let", "let's", "calculate", "compute", "return"),
    *("provide", "report", "present", "present the", "say", "look", "looking", "about", "what's"),
    *("who's", "there's", "hi", "hello", "hey", "thanks", "thank", "same", "again"),
    *("now", "currently", "current", "overall", "altogether", "entire", "whole", "within"),
    *("outstanding", "bank", "bank's", "bmo", "data", "recorded", "registered", "thing", "figure"),
    *(
        "result",
        "out",
        "up",
        "held",
        "cash",
        "inclusive",
        "taken",
        "file",
        "filed",
        "received",
        "raised",
        "lodged",
        "submit",
        "submitted",
    ),
    *("happened", "happen", "occurred", "occur", "took place", "take place", "through", "into"),
    *("existing", "different", "distinct", "unique", "various", "respectively", "actually"),
    *("exist", "ok", "okay", "made by", "given by", "how", "used", "overview of"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        (
            *("one", "two", "three", "four", "five", "six"),
            *("seven", "eight", "nine", "ten", "eleven", "twelve"),
        ),
        start=1,
    )
} | {"twenty": 20, "fifty": 50, "hundred": 100}


def amount(token: str) -> Decimal | None:
    """The number that a token is: ``600``, ``1,000``, ``50k``, ``two``."""
    if token in NUMBER_WORDS:
        return Decimal(NUMBER_WORDS[token])
    if not _AMOUNT.fullmatch(token):
        return None
    factor = {"k": 1_000, "m": 1_000_000}.get(token[-1], 1)
    return Decimal(token.rstrip("km").replace(",", "")) * factor


def lexicon(registry: Registry) -> Lexicon:
    """All phrases of one registry: its own labels, names, values, and the tables of synonyms."""
    found = Lexicon()
    for word in _STOP:
        found.add(words(word), "STOP", None)
    for kind, value, phrases in _PHRASES:
        for phrase in phrases.split(" | "):
            found.add(words(phrase), kind, value)
    taken = set()
    for name, noun in NOUNS.items():
        if noun.metrics and not set(noun.metrics.values()) & set(registry.metrics):
            continue
        for word in noun.words:
            if word != "who":
                taken.add(tuple(words(word)))
                found.add(words(word), "NOUN", name)
        for verb in noun.verbs:
            found.add(words(verb), "VERB", name)
    for metric in registry.metrics.values():
        label = metric.label if " with " not in metric.label else metric.name.replace("_", " ")
        own = {label, metric.name.replace("_", " "), *metric.synonyms}
        own |= set(METRIC_WORDS.get(metric.name, ()))
        for own_words in {tuple(words(phrase)) for phrase in own} - taken:
            found.add(own_words, "METRIC", metric.name)
    for dimension in registry.dimensions.values():
        _add_dimension(found, dimension)
    categories = registry.dimensions.get("category")
    for word, category in CATEGORY_WORDS.items():
        known = categories is not None and category in categories.values
        found.add(words(word), "CATEGORY", category if known else None)
    if "transaction_weekday" in registry.dimensions:
        for number, day in enumerate(WEEKDAYS, start=1):
            found.add(words(day), "VALUE", ("transaction_weekday", (number,)))
        found.add(words("weekend"), "VALUE", ("transaction_weekday", (6, 7)))
    return found


def _add_dimension(found: Lexicon, dimension: Dimension) -> None:
    if dimension.kind == "date":
        return
    phrases = {dimension.label, dimension.name.replace("_", " ")}
    for phrase in {tuple(words(p)) for p in phrases | set(DIMENSION_WORDS.get(dimension.name, ()))}:
        found.add(phrase, "DIM", dimension.name)
    if dimension.kind != "category":
        return
    synonyms = VALUE_WORDS.get(dimension.name, {})
    for value in dimension.values:
        phrases = {value, *synonyms.get(value, ())}
        if dimension.name == "credit_record_status":
            # "present" and "absent" are everyday words; alone they mean no credit record.
            phrases = {f"{value} record", f"{value} credit record", f"record {value}"}
        if banded := re.match(r"\d+\s*[–-]\s*\d+\s+(.+)", value):
            phrases.add(banded[1])
        for phrase in {tuple(words(phrase)) for phrase in phrases}:
            found.add(phrase, "VALUE", (dimension.name, (value,)))
