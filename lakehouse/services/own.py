"""Whose service answers: on the port of one that this home has stopped, another home's may."""

from __future__ import annotations

from lakehouse.errors import ServiceUnavailable
from lakehouse.services import registry
from lakehouse.services.service import same_process
from lakehouse.settings import Settings, ports


def require_own(settings: Settings, name: str, address: str | None) -> None:
    """Refuse an address of the local profile behind which this home runs no process.

    The broker and the emulator know no password, so a second home that took a freed port would get
    this home's complaints and documents. An address that someone gave on purpose is taken as it is.

    Raises:
        ServiceUnavailable: the address is this home's own, but its service isn't running.

    """
    if not is_own(settings, name, address):
        return
    known = registry.record(settings.home, name)
    if same_process(known.get("pid"), known.get("started")) is None:
        raise ServiceUnavailable(
            f"{name} of {settings.home} is not running", f"start it: discover up {name}"
        )


def is_own(settings: Settings, name: str, address: str | None) -> bool:
    """Whether an address is where this home runs a service of that name, or would."""
    if settings.profile != "local" or address is None:
        return False
    own = {f"127.0.0.1:{port}" for port in ports(settings.home)[name].values()}
    return address.removeprefix("http://") in own
