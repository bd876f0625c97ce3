"""Any words in any order: an answer, a refusal or a question back, and never a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.chat.test_answers import FIGURES, FOLLOWING, UNCLEAR

Say = Callable[..., dict[str, Any]]

QUESTIONS = [
    *(question for question, _ in FIGURES),
    *(question for _, question, _ in FOLLOWING),
    *UNCLEAR,
]
PARTS = sorted(
    {
        " ".join(words[start : start + length])
        for words in (question.split() for question in QUESTIONS)
        for length in (1, 2, 4)
        for start in range(0, len(words), length)
    }
)
STATUSES = {"answered", "refused", "needs_clarification"}


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=6),
    earlier=st.none() | st.sampled_from(QUESTIONS),
)
def test_any_words_end_in_one_of_the_statuses(
    say: Say, parts: list[str], earlier: str | None
) -> None:
    answer = say(" ".join(parts), history=[earlier] if earlier else [])
    assert answer["status"] in STATUSES
    assert answer["answer"]
