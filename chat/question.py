"""From a question's words to a plan, by rules alone: the same question gives the same plan.

Every word of substance must be used. A word that the rules don't know, or can't place, ends in a
refusal or in a question back: a filter that was overread would make a wrong figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chat import phrases
from chat.asked import Asked
from chat.items import PEOPLE, SUBJECTS, Draft, Items, at_least_one, not_understood
from chat.narrowing import Narrowing
from chat.phrases import FindPeople, Person, Phrases
from chat.plan import Filter, NotCovered, Plan, Unclear, validate
from chat.registry import CUSTOMER, DATE_GRAINS, NOUNS, Metric, Registry, noun_of
from chat.words import lexicon

PROFILE = ("average_credit_score", "loan_count", "loan_total", "deposit_total", "withdrawal_total")


@dataclass(frozen=True)
class Understood:
    """A plan, and the customers that the question names."""

    plan: Plan
    people: tuple[Person, ...] = ()


class Parser:
    """Understands questions about one registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.lexicon = lexicon(registry)

    def understand(
        self, text: str, today: date, people: FindPeople, earlier: Plan | None = None
    ) -> Understood:
        """The plan of one question.

        Args:
            text: the question.
            today: the last business day of the published data.
            people: finds customers by name, among those the asker may see.
            earlier: the plan of the question before, for "and in Calgary?".

        Raises:
            NotCovered: the registry can't answer it; the message says what is missing.
            Unclear: it needs one more word from the asker.

        """
        said = phrases.read(text, self.lexicon, today, people)
        if said.profile:
            plan = _list(said.ids, columns=self._profile())
        else:
            plan = self._plan(said, earlier)
        return Understood(validate(plan, self.registry), tuple(said.people))

    def _plan(self, said: Phrases, earlier: Plan | None) -> Plan:
        items, draft = said.items, Draft(said.period)
        previous = earlier if self._follows(said, earlier) else None
        metric = Asked(self.registry, items, draft, said.ids).read(previous)
        Narrowing(self.registry, metric, items, draft, said.ids).read(previous, said.now)
        if left := items.unused():
            raise NotCovered(not_understood(left))
        plan = _drafted(metric, draft, items)
        if previous is not None:
            plan = _continued(plan, previous, draft, self.registry)
        if plan.show == "share" and plan.base and not (plan.filters or plan.conditions):
            plan = plan.model_copy(update={"filters": plan.base, "base": ()})
        return plan

    def _follows(self, said: Phrases, earlier: Plan | None) -> bool:
        """Whether a question goes on from the one before; uses its pronouns up.

        Raises:
            Unclear: it would, but there is none; or it asks nothing at all.

        """
        items = said.items
        counted = earlier is not None and self._of_them(items, earlier)
        pronouns = items.use("PRONOUN") or counted
        subject = any(item.kind in SUBJECTS for item in items)
        if pronouns and earlier is None and not said.ids:
            raise Unclear("Whom do you mean? There is no earlier question to go on from.")
        if said.lead and earlier is None and not subject:
            raise Unclear("What about it? There is no earlier question to go on from.")
        if not items and not said.period and not said.ids:
            # "thanks" asks nothing: the earlier figure again would look like an answer to it.
            raise Unclear("What would you like to know?")
        return said.lead or pronouns or not subject

    def _of_them(self, items: Items, earlier: Plan) -> bool:
        """Reads the pronoun of "how many of them" as what the earlier question was about.

        With a verb of its own ("how much did they withdraw"), and after scores, of which there is
        no number, they are its customers.

        Raises:
            Unclear: it was about nothing that can be counted: a net flow has no members, and how
                many customers there were on an earlier day isn't known.

        """
        acts = any(item.kind == "VERB" for item in items)
        for item, after, further in zip(items, items[1:], [*items[2:], None], strict=False):
            if item.kind != "AGG" or after.kind != "PRONOUN":
                continue
            if further is not None and further.kind == "NOUN":
                # "how many of those loans": it says of what.
                return False
            noun = "customers" if acts else noun_of(earlier.metric)
            if noun is None:
                raise Unclear("Of what: customers, loans or transactions?")
            if item.value == "count" and "count" not in NOUNS[noun].metrics:
                if earlier.of_the_past or not self.registry.metrics[earlier.metric].of_customers:
                    raise Unclear("Of what: customers, loans or transactions?")
                noun = "customers"
            after.kind, after.value = "NOUN", noun
            return True
        return False

    def _profile(self) -> tuple[str, ...]:
        return tuple(name for name in PROFILE if name in self.registry.metrics)


def _drafted(metric: Metric, draft: Draft, items: Items) -> Plan:
    """The plan of a question that stands for itself."""
    main = items.at(draft.main)
    asked = any(item.kind == "ASK" for item in items) or (
        main is not None and main.text in ("who", "whom", "anyone", "everyone")
    )
    narrowed = bool(draft.conditions or draft.filters)
    plain = not (draft.group_by or draft.aggregated or draft.rank or draft.share)
    lists = main is not None and main.is_people and plain and (asked or narrowed)
    if draft.lists or lists:
        listing = _list((), group_by=draft.group_by)
        if main is not None and (has := PEOPLE.get(main.value)):
            draft.conditions.append(at_least_one(f"{has}_count", ()))
        plan = listing.model_copy(
            update={
                "filters": tuple(draft.filters),
                "conditions": tuple(draft.conditions),
                "start": draft.period.start if draft.period else None,
                "end": draft.period.end if draft.period else None,
                "as_of": draft.as_of,
                "since": draft.since,
            }
        )
    else:
        plan = Plan(
            metric=metric.name,
            show="share" if draft.share else "figure",
            group_by=tuple(dict.fromkeys(draft.group_by)),
            filters=tuple(draft.filters),
            base=tuple(draft.base),
            conditions=tuple(dict.fromkeys(draft.conditions)),
            start=draft.period.start if draft.period else None,
            end=draft.period.end if draft.period else None,
            as_of=draft.as_of,
            since=draft.since,
            rank=draft.rank,
            limit=draft.limit,
            having=draft.having,
        )
    return plan


def _continued(plan: Plan, earlier: Plan, draft: Draft, registry: Registry) -> Plan:
    """The earlier plan with what this question says anew."""
    metric = registry.metrics[plan.metric]
    fields = {found.field for found in plan.filters}
    kept = tuple(
        found
        for found in earlier.filters
        if found.field not in fields and registry.dimension_of(metric, found.field)
    )
    own = {condition.metric for condition in plan.conditions}
    conditions = tuple(found for found in earlier.conditions if found.metric not in own)
    groups = plan.group_by
    if not groups and plan.show == earlier.show:
        groups = tuple(
            name
            for name in earlier.group_by
            if name not in fields
            and (name in metric.dimensions or (name in DATE_GRAINS and metric.date))
        )
    dated = metric.date is not None and draft.period is None
    moved = registry.past_of(metric) is not None and not draft.timed
    same = plan.metric == earlier.metric and not draft.aggregated and draft.main < 0
    show = earlier.show if same and not draft.share else plan.show
    rank = plan.rank or (earlier.rank if groups else None)
    return plan.model_copy(
        update={
            "show": show,
            "filters": (*kept, *plan.filters),
            "base": plan.base or (earlier.base if show == "share" else ()),
            "conditions": (*(conditions if metric.of_customers else ()), *plan.conditions),
            "group_by": (CUSTOMER,) if show == "customers" and not groups else groups,
            "start": earlier.start if dated else plan.start,
            "end": earlier.end if dated else plan.end,
            "as_of": earlier.as_of if moved else plan.as_of,
            "since": earlier.since if moved else plan.since,
            "rank": rank,
            "limit": plan.limit or (earlier.limit if rank == earlier.rank else None),
            "having": plan.having or (earlier.having if groups and same else None),
            "columns": earlier.columns if show == "customers" else (),
        }
    )


def _list(ids: Sequence[int], *, group_by: Sequence[str] = (), columns: Sequence[str] = ()) -> Plan:
    return Plan(
        metric="customer_count",
        show="customers",
        group_by=tuple(dict.fromkeys((CUSTOMER, *group_by))),
        filters=(Filter(field=CUSTOMER, values=tuple(dict.fromkeys(ids))),) if ids else (),
        columns=tuple(columns),
    )
