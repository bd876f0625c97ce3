"""A failed boundary as pages that a person reads: Great Expectations' data docs, complete in files.

Great Expectations renders what it found; what its pages would fetch from other hosts is taken out,
so that they open anywhere and tell nobody. They hold counts, limits and the keys of rows at fault,
no other value of any row.
"""

from __future__ import annotations

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from expectations.report import CheckReport, RowKeys

PAGES_KEPT = 20
"""Failed runs whose pages stay."""

_FETCHED = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<!--.*?-->", re.DOTALL | re.IGNORECASE
)
_PROMOTION = re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE)
_STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid #ccc;
padding: .4rem .6rem; text-align: left; vertical-align: top; } .failed { color: #b00020; }
.keys { font-size: 13px; margin: .4rem 0; width: auto; }
.hide, .modal, nav, .navbar, .cooltip .top { display: none; }
</style>"""


def write(report: CheckReport, folder: Path, title: str) -> Path:
    """Write the pages of ``report`` into ``folder``: an index of all checks, and one page a frame.

    Returns the index. Older runs' folders beside ``folder`` are swept.
    """
    from great_expectations.render import renderer as untyped_renderer
    from great_expectations.render import view as untyped_view

    renderer: Any = untyped_renderer
    view: Any = untyped_view

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, validation in enumerate(report.validations, start=1):
        page = renderer.ValidationResultsPageRenderer(run_info_at_end=True).render(validation)
        (folder / f"{number}.html").write_text(_complete(view.DefaultJinjaPageView().render(page)))
    index = folder / "index.html"
    index.write_text(_index(report, title))
    runs = sorted(path for path in folder.parent.parent.glob("*") if path.is_dir())
    for old in runs[:-PAGES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return index


def _complete(page: str) -> str:
    page = _PROMOTION.sub("", _FETCHED.sub("", page))
    return page.replace("</head>", f"{_STYLE}</head>", 1)


def _index(report: CheckReport, title: str) -> str:
    """All checks, the failed ones first, each with the page of its frame."""
    rows = []
    for check in sorted(report.checks, key=lambda check: check.passed):
        state = "holds" if check.passed else "failed"
        rows.append(
            f'<tr class="{state}"><td>{state}</td><td>{escape(check.table)}</td>'
            f'<td><a href="{check.validation}.html">{escape(check.name)}</a></td>'
            f"<td>{escape(check.found)}{_keys(check.keys)}</td></tr>"
        )
    counted = f"{len(report.failed)} of {len(report.checks)} checks failed"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"{_STYLE}</head><body><h1>{escape(title)}</h1><p>{counted}. Nothing was published; the"
        " version before keeps serving. Who mends what: docs/quality.md.</p><table><thead><tr>"
        "<th>state</th><th>table</th><th>check</th><th>found</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></body></html>"
    )


def _keys(keys: RowKeys | None) -> str:
    """The rows at fault, by key, and how many there are beside those listed."""
    if keys is None:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in keys.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(key))}</td>' for key in row)}</tr>" for row in keys.rows
    )
    shown = f", the first {len(keys.rows)}" if keys.total > len(keys.rows) else ""
    said = f"{keys.total:,} row{'' if keys.total == 1 else 's'} at fault{shown}:"
    return f'<p>{said}</p><table class="keys"><tr>{head}</tr>{rows}</table>'
