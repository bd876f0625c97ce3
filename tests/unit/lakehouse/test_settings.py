"""Settings are one value: equal ones are one key, and a changed one is another."""

from pathlib import Path

from lakehouse.settings import load


def test_settings_with_limits_by_source_can_key_a_cache(tmp_path: Path) -> None:
    limits = {"atm": 0.5}
    cache = {load(tmp_path, "local", bad_share_limits=limits): "first"}
    assert cache[load(tmp_path, "local", bad_share_limits=limits)] == "first"
    assert load(tmp_path, "local", bad_share_limits={}) not in cache
