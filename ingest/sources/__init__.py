"""One module a source: its contract, its fake data, its flatten function.

To add a source, write its module and name it here.
"""

from __future__ import annotations

from types import ModuleType

from ingest.sources import atm, core_banking, credit_bureau, feedback

REGISTRY: dict[str, ModuleType] = {
    module.NAME: module for module in (core_banking, credit_bureau, atm, feedback)
}
"""Every module has NAME, SNAPSHOT (a landing replaces all before), ``schema()`` and ``fake()``."""
