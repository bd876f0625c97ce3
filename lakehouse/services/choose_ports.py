"""Which ports a service takes: the remembered ones, else the defaults, else free ones above."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

STEP = 100
STEPS = 30
"""A taken port moves up by a multiple of 100, at most 3000: below what systems hand out."""
GRPC_OFFSET = 10_000


def choose(
    remembered: Mapping[str, int],
    defaults: Mapping[str, int],
    *,
    reserved: Iterable[int],
    home: Path,
    shadows: Iterable[str] = (),
    free: Callable[[int], bool] | None = None,
) -> dict[str, int]:
    """A free port for each name: the remembered one, else the default, else one above it.

    ``reserved`` are ports of the home's other services, running or not. Ports named in ``shadows``
    need the port 10,000 above too (SeaweedFS puts gRPC there).

    Raises:
        OSError: no port in reach is free.

    """
    is_free = free or port_is_free
    taken = set(reserved)
    # Two homes that move at the same moment should not move to the same place.
    turn = zlib.crc32(str(home).encode()) % STEPS
    moves = [STEP * (1 + (turn + index) % STEPS) for index in range(STEPS)]
    shadowed = set(shadows)
    chosen: dict[str, int] = {}
    for name, default in defaults.items():
        candidates = [remembered.get(name, default), default, *(default + move for move in moves)]
        for port in candidates:
            needed = {port, port + GRPC_OFFSET} if name in shadowed else {port}
            if not needed & taken and all(is_free(number) for number in needed):
                chosen[name] = port
                taken |= needed
                break
        else:
            raise OSError(f"no free port for {name} from {default} on")
    return chosen


def port_is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1, and one could."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        # Binding alone may succeed beside a listener on every address.
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of a listener that has just ended must not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
