"""What landed first under some ids: a later delivery may repeat it, but not contradict it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.sources.contract import ORDER
from lakehouse import duck, landing
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


def first_landed(settings: Settings, source: str, keys: pa.Table) -> pa.Table | None:
    """The first landed record under each of ``keys`` (a table of one column); None without any."""
    objects = {key for batch in landing.batches(settings, source) for key in batch.objects}
    if not objects or not keys.num_rows:
        return None
    (key,) = keys.column_names
    with duck.connect_lake(settings, attach=False) as lake:
        lake.register("delivered", keys)
        return lake.execute(
            f"SELECT * FROM read_parquet($urls) SEMI JOIN delivered USING ({key})"
            f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {', '.join(ORDER)}) = 1",
            {"urls": [landing.url(name) for name in sorted(objects)]},
        ).to_arrow_table()
