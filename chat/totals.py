"""Every metric of one version, over everyone: what two versions are compared by."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from chat.plan import Plan, Population, compose
from chat.published import Published
from chat.registry import Metric
from lakehouse.versions import Manifest


def totals(home: Path, manifest: Manifest) -> dict[Metric, int | Decimal | None]:
    """Each metric's figure, ungrouped and unfiltered; None where it has none (a mean of nothing).

    Raises:
        DiscoverError: the version has no semantic manifest.

    """
    version = Published(home, manifest)
    everyone = Population(everyone=True)
    found: dict[Metric, int | Decimal | None] = {}
    for metric in version.registry.metrics.values():
        query = compose(Plan(metric=metric.name), everyone, version.registry, version.renderer)
        found[metric] = _exact(version.figure(query.sql, query.parameters), metric)
    return found


def _exact(value: Any, metric: Metric) -> int | Decimal | None:
    if value is None:
        return 0 if metric.additive else None
    return Decimal(str(value)) if isinstance(value, float) else value
