"""A build whose engine, or what stands before it, is killed half-way."""

from __future__ import annotations

import psutil

from lakehouse import services
from tests.jvm.project import Project, not_good, wait_for

ENDS_WITHIN_SECONDS = 180


def assert_a_build_survives_a_kill(project: Project, service: str) -> None:
    """Kill ``service`` while a full refresh creates the fact; dbt fails, the next build is right.

    The project has been built; its raw tables are the ones that it was built from.
    """
    home = project.warehouse.settings.home
    before = project.marts()
    (state,) = services.status(home, [service])
    log = project.folder / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    building = project.start("build", "--full-refresh")
    try:
        wait_for(
            lambda: log.exists() and "START sql incremental model" in log.read_text(), seconds=120
        )
        psutil.Process(state.pid).kill()
        said, _ = building.communicate(timeout=ENDS_WITHIN_SECONDS)
    finally:
        building.kill()
    assert building.returncode == 1, said
    assert "Completed with" in said, "it ended by itself, with its summary"
    (state,) = services.up(home, [service])[-1:]
    assert (state.name, state.state) == (service, "running")
    failed = not_good(project.dbt("build"))
    assert failed == {}, failed
    assert project.marts() == before
