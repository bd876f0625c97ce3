"""Start, repair and stop, shown on services of a few lines."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lakehouse.errors import DiscoverError, ServiceUnavailable, UsageError
from lakehouse.services import lifecycle, registry
from lakehouse.services.service import MARK, Service, same_process, spawn
from lakehouse.settings import DEFAULT_PORTS
from tests.unit.lakehouse import fake_services as fake

Use = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Use]:
    """Put fake services, on ports of this test alone, in the place of the real ones."""

    def put(*classes: type[Service]) -> None:
        by_name = {cls.name: cls for cls in classes}
        monkeypatch.setattr(lifecycle, "CLASSES", by_name)
        monkeypatch.setattr(lifecycle, "BATCH_SERVICES", tuple(by_name))
        monkeypatch.setattr(lifecycle, "_class", by_name.__getitem__)
        for name in by_name:
            with socket.create_server(("127.0.0.1", 0)) as free:
                monkeypatch.setitem(DEFAULT_PORTS, name, {"http": free.getsockname()[1]})

    fake.Web.settled.clear()
    yield put
    lifecycle.down(tmp_path)


def processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(f"{home}:"):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def test_up_starts_and_a_second_up_changes_nothing(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    (first,) = lifecycle.up(tmp_path)
    (second,) = lifecycle.up(tmp_path)
    assert first.state == second.state == "running"
    assert first.pid == second.pid
    assert first.rss_mb > 1
    assert fake.Web.settled == ["ministack"]


def test_a_service_outlives_its_callers_session_and_sees_none_of_its_variables(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Web)
    monkeypatch.setenv("SOME_KEY", "secret")
    (state,) = lifecycle.up(tmp_path)
    assert state.pid is not None
    assert os.getsid(state.pid) == state.pid
    assert "SOME_KEY" not in psutil.Process(state.pid).environ()


@pytest.mark.parametrize("user", ["calgary", ""])
def test_a_service_gets_the_settings_that_it_takes_and_no_others(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    use(fake.Personal)
    monkeypatch.setenv("DISCOVER_USER", user)
    monkeypatch.setenv("DISCOVER_POSTGRES_DSN", "postgresql://secret")
    (state,) = lifecycle.up(tmp_path)
    seen = psutil.Process(state.pid).environ()
    assert seen["DISCOVER_USER"] == user
    assert "DISCOVER_CHAT_MODEL" not in seen
    assert "DISCOVER_POSTGRES_DSN" not in seen


def test_a_service_that_runs_for_somebody_else_is_refused_until_it_is_stopped(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Personal)
    (first,) = lifecycle.up(tmp_path)
    monkeypatch.setenv("DISCOVER_USER", "calgary")
    with pytest.raises(DiscoverError, match="DISCOVER_USER='analyst', asked for was 'calgary'"):
        lifecycle.up(tmp_path)
    assert lifecycle.status(tmp_path)[0].pid == first.pid
    lifecycle.down(tmp_path)
    (second,) = lifecycle.up(tmp_path)
    assert psutil.Process(second.pid).environ()["DISCOVER_USER"] == "calgary"
    assert lifecycle.up(tmp_path)[0].pid == second.pid


def test_a_running_service_with_another_model_is_refused(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Personal)
    lifecycle.up(tmp_path)
    monkeypatch.setenv("DISCOVER_CHAT_MODEL", "anthropic.model")
    with pytest.raises(DiscoverError, match="DISCOVER_CHAT_MODEL=''"):
        lifecycle.up(tmp_path)


def test_what_a_service_needs_is_started_first(use: Use, tmp_path: Path) -> None:
    use(fake.Web, fake.Dependent)
    states = lifecycle.up(tmp_path, ["kafka"])
    assert [state.name for state in states] == ["ministack", "kafka"]
    assert fake.Web.settled == ["ministack", "kafka"]


def test_down_stops_and_status_says_stopped(use: Use, tmp_path: Path) -> None:
    use(fake.Web, fake.Dependent)
    lifecycle.up(tmp_path)
    assert lifecycle.down(tmp_path) == ["kafka", "ministack"]
    assert [state.state for state in lifecycle.status(tmp_path)] == ["stopped", "stopped"]
    assert processes_of(tmp_path) == []
    assert lifecycle.down(tmp_path) == []


def test_one_that_ignores_the_signal_is_killed_with_its_children(use: Use, tmp_path: Path) -> None:
    use(fake.Stubborn)
    lifecycle.up(tmp_path)
    assert len(processes_of(tmp_path)) == 2
    lifecycle.down(tmp_path)
    assert processes_of(tmp_path) == []


def test_a_killed_service_shows_as_dead_and_up_repairs_it(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    (before,) = lifecycle.up(tmp_path)
    assert before.pid is not None
    psutil.Process(before.pid).kill()
    time.sleep(0.1)
    (dead,) = lifecycle.status(tmp_path)
    assert (dead.state, dead.pid) == ("dead", None)
    (after,) = lifecycle.up(tmp_path)
    assert after.state == "running"
    assert after.pid != before.pid


def test_a_hung_service_is_failing_and_up_replaces_it(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Web)
    monkeypatch.setattr(lifecycle, "PATIENCE_SECONDS", 1)
    (before,) = lifecycle.up(tmp_path)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGSTOP)
    assert lifecycle.status(tmp_path)[0].state == "failing"
    (after,) = lifecycle.up(tmp_path)
    assert after.state == "running"
    assert after.pid != before.pid


def test_a_recorded_pid_that_is_somebody_elses_now_is_left_alone(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        created = psutil.Process(stranger.pid).create_time()
        registry.update(tmp_path, "ministack", pid=stranger.pid, started=created - 60)
        assert lifecycle.status(tmp_path)[0].state == "dead"
        lifecycle.up(tmp_path)
        lifecycle.down(tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_killed_command_left_behind_is_found_and_stopped(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    service = fake.Web(tmp_path)
    service.prepare()
    orphan = spawn(service)  # and the command is killed before it could write the pid down
    (state,) = lifecycle.up(tmp_path)
    assert state.pid != orphan.pid
    assert [process.pid for process in processes_of(tmp_path)] == [state.pid]


def test_a_start_that_was_cut_off_before_settling_is_completed(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    (before,) = lifecycle.up(tmp_path)
    registry.update(tmp_path, "ministack", settled=None)
    assert lifecycle.status(tmp_path)[0].state == "starting"
    fake.Web.settled.clear()
    (after,) = lifecycle.up(tmp_path)
    assert after.pid == before.pid
    assert after.state == "running"
    assert fake.Web.settled == ["ministack"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (fake.Broken, r"kafka didn't start: its process ended; .*no space left on device"),
        (fake.Silent, r"kafka didn't start: it doesn't answer \(TimeoutError.* within 1 s"),
    ],
)
def test_a_failed_start_names_reason_and_log_and_leaves_nothing_behind(
    use: Use, tmp_path: Path, broken: type[Service], reason: str
) -> None:
    use(fake.Web, broken)
    with pytest.raises(ServiceUnavailable, match=reason) as failure:
        lifecycle.up(tmp_path)
    assert "\n" not in str(failure.value)
    assert str(tmp_path / "logs" / "kafka.log") in failure.value.fix
    assert processes_of(tmp_path) == []
    assert {state.state for state in lifecycle.status(tmp_path)} == {"stopped"}


def test_a_failed_start_leaves_alone_what_ran_before(use: Use, tmp_path: Path) -> None:
    use(fake.Web, fake.Broken)
    (before,) = lifecycle.up(tmp_path, ["ministack"])
    with pytest.raises(ServiceUnavailable):
        lifecycle.up(tmp_path)
    states = {state.name: state for state in lifecycle.status(tmp_path)}
    assert states["ministack"].pid == before.pid
    assert states["ministack"].state == "running"


def test_a_missing_wheel_is_one_line_with_its_fix(use: Use, tmp_path: Path) -> None:
    use(fake.Uninstalled)
    with pytest.raises(DiscoverError, match="some-wheel is not installed — run: make setup"):
        lifecycle.up(tmp_path)


def test_a_program_that_is_gone_is_one_line(use: Use, tmp_path: Path) -> None:
    class Gone(fake.Web):
        def launch(self) -> fake.Launch:
            return fake.Launch([str(tmp_path / "nothing-here")])

    use(Gone)
    with pytest.raises(DiscoverError, match="ministack can't be run"):
        lifecycle.up(tmp_path)


def test_a_nearly_full_disk_stops_before_anything_is_started(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Web)
    monkeypatch.setattr(lifecycle, "DISK_FLOOR", 2**60)
    with pytest.raises(DiscoverError, match="nearly full"):
        lifecycle.up(tmp_path)
    assert processes_of(tmp_path) == []


def test_a_taken_port_moves_is_remembered_and_is_kept(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    default = DEFAULT_PORTS["ministack"]["http"]
    with socket.create_server(("127.0.0.1", default)):
        (state,) = lifecycle.up(tmp_path)
    assert not state.url.endswith(f":{default}")
    lifecycle.down(tmp_path)
    (again,) = lifecycle.up(tmp_path)
    assert again.url == state.url


def test_a_port_taken_between_look_and_start_moves_too(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Web)
    default = DEFAULT_PORTS["ministack"]["http"]
    looked: list[int] = []

    def free_at_first(port: int) -> bool:
        looked.append(port)
        return looked.count(port) == 1 or port != default

    monkeypatch.setattr("lakehouse.services.choose_ports.port_is_free", free_at_first)
    with socket.create_server(("127.0.0.1", default)):
        (state,) = lifecycle.up(tmp_path)
    assert state.state == "running"
    assert not state.url.endswith(f":{default}")


def test_an_answer_of_somebody_else_on_its_port_does_not_count(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Late)
    port = DEFAULT_PORTS["ministack"]["http"]
    code = fake.SERVER.format(extra="", answer="pass")
    somebody = subprocess.Popen([sys.executable, "-c", code, str(port)])
    try:
        monkeypatch.setattr("lakehouse.services.choose_ports.port_is_free", lambda port: True)
        with pytest.raises(ServiceUnavailable, match="never listened on its ports"):
            lifecycle.up(tmp_path)
    finally:
        somebody.kill()
        somebody.wait()


def test_a_stopped_process_may_still_end_cleanly(use: Use, tmp_path: Path) -> None:
    use(fake.Saving)
    (state,) = lifecycle.up(tmp_path)
    assert state.pid is not None
    os.kill(state.pid, signal.SIGSTOP)
    lifecycle.down(tmp_path)
    assert (tmp_path / "services" / "ministack" / "saved").read_text() == "all"


def test_an_interrupt_stops_what_was_started(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake.Web, fake.Silent)

    def interrupted(futures: object) -> None:
        time.sleep(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.up(tmp_path)
    assert processes_of(tmp_path) == []


def test_an_unknown_service_lists_those_that_exist(use: Use, tmp_path: Path) -> None:
    use(fake.Web)
    with pytest.raises(UsageError, match="services: ministack"):
        lifecycle.up(tmp_path, ["mysql"])


def test_a_process_is_known_by_its_creation_too() -> None:
    me = psutil.Process()
    assert same_process(me.pid, me.create_time()) == me
    assert same_process(me.pid, me.create_time() - 10) is None
    assert same_process(None, None) is None


def test_a_big_log_is_set_aside(use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(fake.Web)
    monkeypatch.setattr("lakehouse.services.service.LOG_LIMIT", 10)
    log = tmp_path / "logs" / "ministack.log"
    log.parent.mkdir()
    log.write_text("x" * 11)
    lifecycle.up(tmp_path)
    assert log.stat().st_size == 0
    assert (tmp_path / "logs" / "ministack.old.log").stat().st_size == 11
