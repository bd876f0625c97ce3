"""The page's address is taken, or it is said why not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from discover.serve import serve
from lakehouse.errors import DiscoverError
from lakehouse.settings import load


def test_a_taken_address_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(DiscoverError, match=r"can't be taken .* — the page may be running"):
            serve(load(tmp_path, "local", page_url=url))
