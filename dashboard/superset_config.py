"""Superset's configuration, read by Superset itself: standard library and Superset only.

It reads one other file of this project, the bank's calendar, which needs the standard library only.

Everything that differs between machines comes from the environment, under the names that the rest
of the project uses: DISCOVER_HOME, DISCOVER_PAGE_URL, DISCOVER_SUPERSET_SECRET_KEY and
DISCOVER_SUPERSET_GUEST_SECRET. A missing one stops Superset at the start.
"""

import importlib.util
import json
import logging
import os
import shutil
import stat
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import duckdb_engine
from superset.exceptions import QueryObjectValidationError
from superset.utils import date_parser
from superset.utils.log import AbstractEventLogger

HOME = Path(os.environ["DISCOVER_HOME"])
DATA = HOME / "services" / "superset"
PAGE_URL = os.environ["DISCOVER_PAGE_URL"]


def _secret(name):
    value = os.environ.get(name, "")
    # Superset would start with its published default, with which anyone can sign a guest token.
    if len(value) < 16:
        raise RuntimeError(f"{name} is missing or shorter than 16 characters")
    return value


SECRET_KEY = _secret("DISCOVER_SUPERSET_SECRET_KEY")
SQLALCHEMY_DATABASE_URI = os.environ.get(
    "DISCOVER_SUPERSET_DATABASE", f"sqlite:///{DATA}/superset.db?check_same_thread=false"
)


# --- The published version ---------------------------------------------------------------------


def published_version():
    """The manifest of the version to read, asked at each query: no restart needed.

    A guest reads the version that its token names, so that one page never mixes two versions while
    another is published. Everyone else reads the version that is published now.
    """
    manifest = json.loads((HOME / "published.json").read_text())
    run_id = _version_of_guest()
    if run_id in (None, manifest["run_id"]):
        return manifest
    return json.loads((HOME / "versions" / run_id / "manifest.json").read_text())


def published_marts():
    """The DuckDB file of that version."""
    return HOME / "versions" / published_version()["run_id"] / "marts.duckdb"


def _version_of_guest():
    """The run id in the guest's token, which only our service account can have signed."""
    from flask import g, has_request_context

    token = getattr(g.get("user"), "guest_token", None) if has_request_context() else None
    # A guest token has no field for it; the page shows no last name.
    return (token or {}).get("user", {}).get("last_name") or None


SETTING = threading.Lock()
LOCAL_FILES = ("sqlite", "shillelagh")


def DB_CONNECTION_MUTATOR(uri, params, *context):  # noqa: N802, ARG001 - as Superset calls it
    """Point DuckDB connections at the published file, read-only, with every other door shut."""
    if uri.drivername.startswith(LOCAL_FILES):
        raise ValueError(f"{uri.drivername} opens local files, so it is switched off here")
    if not uri.drivername.startswith("duckdb"):
        return uri, params
    shut = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "enable_external_access": "false",
    }
    params["connect_args"] = {"read_only": True, "config": shut}
    params["pool_events"] = [(shut_the_file_itself, "connect")]
    # Options behind a "?" would count more than these: access_mode=READ_WRITE among them.
    return uri.set(database=str(published_marts()), query={}), params


def shut_the_file_itself(connection, _record):
    """Let nobody open the file, or the log beside it, by its path; no setting opens it again."""
    cursor = connection.cursor()
    # Connections of one process to one file share what is set, and what is locked.
    with SETTING:
        cursor.execute("SELECT current_setting('lock_configuration')")
        if not cursor.fetchone()[0]:
            cursor.execute("SET disabled_filesystems = 'LocalFileSystem'")
            cursor.execute("SET lock_configuration = true")
    cursor.close()


# To DuckDB, a backslash in a literal is a backslash. Its dialect, made of PostgreSQL's, doubles it
# until it has asked the server: a filter on such a name found nothing (apache/superset#38453).
duckdb_engine.Dialect._backslash_escapes = False


# --- The bank's calendar ------------------------------------------------------------------------


def _read_calendar():
    path = Path(__file__).resolve().parent.parent / "lakehouse" / "business_calendar.py"
    spec = importlib.util.spec_from_file_location("business_calendar", path)
    module = importlib.util.module_from_spec(spec)
    # Its classes look their annotations up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CALENDAR = _read_calendar()


class NoDays(QueryObjectValidationError, ValueError):
    """A date range that is no range of days. Chart and filter show the message."""


def days_of_the_bank(
    time_range=None,
    since=None,
    until=None,
    time_shift=None,
    relative_start=None,  # noqa: ARG001 - as Superset calls it
    relative_end=None,  # noqa: ARG001 - likewise
    instant_time_comparison_range=None,
):
    """Superset's ``get_since_until`` by the bank's calendar.

    Ranges count from the published data's last business day, not from this machine's clock, and
    the last day counts: Superset leaves out the moment at which its range ends, so that is the
    midnight after it.
    """
    if time_shift or instant_time_comparison_range:
        raise NoDays("Dates: a range can't be compared with a shifted one here.")
    words = time_range or (f"{since or ''} : {until or ''}" if since or until else "")
    manifest = published_version()
    try:
        first, last = CALENDAR.days_of_range(words, CALENDAR.last_business_day(manifest))
    except CALENDAR.NoPeriod as error:
        raise NoDays(f"Dates: {error}.") from None
    midnight = datetime.min.time()
    return (
        first and datetime.combine(first, midnight),
        last and datetime.combine(last + timedelta(days=1), midnight),
    )


def _date_readers():
    """The loaded modules of Superset that know ``get_since_until``, by name."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.startswith("superset.") and hasattr(module, "get_since_until")
    }


# Every reader imports the function by name: some have done so by now, the others will.
date_parser.get_since_until = days_of_the_bank
for _reader in _date_readers().values():
    _reader.get_since_until = days_of_the_bank


def _require_one_calendar():
    """Refuse to start where a part of Superset would read date ranges by another calendar."""
    found = _date_readers()
    wanted = {"superset.common.utils.time_range_utils", "superset.views.api", "superset.viz"}
    wrong = {n for n, module in found.items() if module.get_since_until is not days_of_the_bank}
    if wrong := sorted(wrong | (wanted - found.keys())):
        raise RuntimeError(f"this Superset reads dates by its own calendar in {', '.join(wrong)}")


# A figure must be of the version that is published now, and DuckDB answers in milliseconds.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}


def _state_cache(name):
    return {
        "CACHE_TYPE": "FileSystemCache",
        "CACHE_DIR": str(DATA / "cache" / name),
        "CACHE_DEFAULT_TIMEOUT": 86_400,
        "REFRESH_TIMEOUT_ON_RETRIEVAL": True,
    }


FILTER_STATE_CACHE_CONFIG = _state_cache("filter_state")
EXPLORE_FORM_DATA_CACHE_CONFIG = _state_cache("explore")


class NoEvents(AbstractEventLogger):
    """Superset's event log holds filter values, and those are customers' names."""

    def log(self, *args, **kwargs):
        """Keep nothing."""


class BoundedLog(logging.Handler):
    """Keeps the file that the process writes its log to within bounds, and one old one beside it.

    The file is emptied, not renamed: every writer appends to the same open file.
    """

    def __init__(self, descriptor=2, limit=10 * 1024 * 1024):
        super().__init__()
        self.descriptor, self.limit = descriptor, limit

    def emit(self, _record):
        """Look at the size after each line."""
        try:
            found = os.fstat(self.descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size <= self.limit:
                return
            log = Path(f"/proc/self/fd/{self.descriptor}").readlink()
            shutil.copyfile(log, log.with_suffix(".old.log"))
            os.ftruncate(self.descriptor, 0)
        except OSError:
            # A full disk must not end the dashboard.
            return


logging.getLogger().addHandler(BoundedLog())
EVENT_LOGGER = NoEvents()
LOG_LEVEL = "WARNING"
SHOW_STACKTRACE = False


# --- Embedding ---------------------------------------------------------------------------------

FEATURE_FLAGS = {
    "EMBEDDED_SUPERSET": True,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "ALERT_REPORTS": False,
    "DRILL_TO_DETAIL": False,
    "DRILL_BY": False,
    "TAGGING_SYSTEM": False,
}
GUEST_ROLE_NAME = "EmbedGuest"
GUEST_TOKEN_JWT_SECRET = _secret("DISCOVER_SUPERSET_GUEST_SECRET")
GUEST_TOKEN_JWT_AUDIENCE = "discover"  # noqa: S105 - a name, not a secret
GUEST_TOKEN_JWT_EXP_SECONDS = 300


def GUEST_TOKEN_VALIDATOR_HOOK(token):  # noqa: N802
    """Refuse a guest without a row-level rule on a named dataset, whatever the page asks for."""
    rules = token.get("rls") or []
    return bool(rules) and all(rule.get("dataset") and rule.get("clause") for rule in rules)


def _page_origins():
    origins = [PAGE_URL]
    if "//127.0.0.1:" in PAGE_URL:
        origins.append(PAGE_URL.replace("//127.0.0.1:", "//localhost:"))
    return origins


TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'self'", *_page_origins()],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # X-Frame-Options can't list an origin; frame-ancestors above does.
    "frame_options": None,
    "force_https": PAGE_URL.startswith("https"),
    "session_cookie_secure": PAGE_URL.startswith("https"),
}
DEFAULT_HTTP_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TALISMAN_DEV_CONFIG = TALISMAN_CONFIG
# No other origin reads anything here; the default lets a map's tile server do so.
ENABLE_CORS = False
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PAGE_URL.startswith("https")
# Superset limits nothing unless it is told to.
RATELIMIT_ENABLED = True
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "10 per minute"
RATELIMIT_STORAGE_URI = "memory://"
# The dashboard asks for one option list a filter and one figure a chart, all at once.
RATELIMIT_APPLICATION = "200 per second"


# --- Looks -------------------------------------------------------------------------------------

APP_NAME = "BMO Discover"
FAVICONS = []
_TOKENS = {
    "brandAppName": APP_NAME,
    "brandLogoAlt": APP_NAME,
    "colorPrimary": "#0b63b0",
    "colorLink": "#0b63b0",
    "colorInfo": "#0b63b0",
    "borderRadius": 8,
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
    "fontUrls": [],
}
# The page's own grounds, so that the frame doesn't show as one.
_LIGHT = {"colorBgLayout": "#f4f6f9"}
_DARK = {
    "colorPrimary": "#4c9fea",
    "colorLink": "#4c9fea",
    "colorInfo": "#4c9fea",
    "colorBgBase": "#0e1318",
    "colorBgLayout": "#0e1318",
    "colorBgContainer": "#161c23",
    "colorBgElevated": "#1d252e",
}
THEME_DEFAULT = {"token": {**_TOKENS, **_LIGHT}, "algorithm": "default"}
THEME_DARK = {"token": {**_TOKENS, **_DARK}, "algorithm": "dark"}
ENABLE_UI_THEME_ADMINISTRATION = False
THEME_FONT_URL_ALLOWED_DOMAINS = []
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "discover",
        "description": "Distinct to colour-blind readers, calm side by side",
        "label": "Discover",
        "isDefault": True,
        "colors": [
            "#0b63b0",
            "#e07b39",
            "#2a9d8f",
            "#c8452f",
            "#7b6fd0",
            "#d9a514",
            "#5b7c99",
            "#b0568f",
        ],
    }
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "discover_blue",
        "description": "Light to deep blue",
        "isDiverging": False,
        "label": "Discover blue",
        "isDefault": True,
        "colors": ["#e8f1fa", "#b5d3ee", "#7eb3e0", "#3f8dcd", "#0b63b0", "#083f74"],
    }
]


# --- The start, logins and exports --------------------------------------------------------------


def FLASK_APP_MUTATOR(app):  # noqa: N802 - as Superset calls it
    """Check and close what Superset's own settings leave open, before the first request."""
    _require_one_calendar()
    _limit_api_logins(app)
    _keep_formulas_out_of_exports()


def _limit_api_logins(app):
    """Count failed logins by the API, and all by the form, by account."""
    from flask import abort, request
    from limits import parse, storage, strategies

    window = strategies.FixedWindowRateLimiter(storage.MemoryStorage())
    limit = parse(AUTH_RATE_LIMIT)

    def account():
        path = request.path.rstrip("/")
        if request.method != "POST" or path not in ("/login", "/api/v1/security/login"):
            return None
        sent = request.form if path == "/login" else request.get_json(silent=True)
        name = str(sent.get("username") if hasattr(sent, "get") else None)
        name = name.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        # Superset finds an account by its name in any case.
        return request.remote_addr or "", name.strip().casefold()[:100]

    def refuse():
        who = account()
        if who and not window.test(limit, *who):
            abort(429)
        if who and "\ufffd" in who[1]:
            # Half a character, which the database can't be asked for.
            abort(400)

    # Before the check of CSRF tokens, which answers with a redirect too.
    app.before_request_funcs.setdefault(None, []).insert(0, refuse)

    @app.after_request
    def count(response):
        who = account()
        # The form answers a wrong password with a redirect, as it does a right one.
        if who and response.status_code in (302, 401):
            window.hit(limit, *who)
        return response


def _keep_formulas_out_of_exports():
    """Escape what Superset's rules leave out.

    They miss a leading tab or carriage return, array formulas and headers in Excel, and every cell
    of a CSV file that is long enough to be streamed.
    """
    import csv as standard_csv
    from types import SimpleNamespace

    from superset.commands.streaming_export import base as streaming
    from superset.utils import csv, excel

    escape = csv.escape_value

    def escape_value(value):
        starts = value.startswith(("\t", "\r"))
        # pandas quotes no carriage return, so what follows one would begin a line.
        value = value.replace("\r", "\n")
        return f"'{value}" if starts else escape(value)

    def escape_cell(value):
        return escape_value(value) if isinstance(value, str) else value

    def quote_cell(cell):
        starts = ("=", "+", "-", "@", "\t", "\r", "{")
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(starts) else cell

    def quote_formulas(frame):
        text = frame.select_dtypes(include="object").columns
        frame[text] = frame[text].map(quote_cell)
        return frame.rename(columns=quote_cell)

    def writer(*arguments, **options):
        rows = standard_csv.writer(*arguments, **options)
        return SimpleNamespace(writerow=lambda row: rows.writerow([*map(escape_cell, row)]))

    csv.escape_value, excel.quote_formulas = escape_value, quote_formulas
    streaming.csv = SimpleNamespace(writer=writer, QUOTE_MINIMAL=standard_csv.QUOTE_MINIMAL)
