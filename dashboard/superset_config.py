"""Superset's configuration, read by Superset itself: standard library and Superset only.

Everything that differs between machines comes from the environment, under the names that the rest
of the project uses: DISCOVER_HOME, DISCOVER_PAGE_URL, DISCOVER_SUPERSET_SECRET_KEY and
DISCOVER_SUPERSET_GUEST_SECRET. A missing one stops Superset at the start.
"""

import json
import logging
import os
import shutil
import stat
import threading
from pathlib import Path

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


def published_marts():
    """The DuckDB file that the manifest names now; asked at each connection: no restart needed."""
    manifest = json.loads((HOME / "published.json").read_text())
    return HOME / "versions" / manifest["run_id"] / "marts.duckdb"


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
TALISMAN_DEV_CONFIG = TALISMAN_CONFIG
# No other origin reads anything here; the default lets a map's tile server do so.
ENABLE_CORS = False
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PAGE_URL.startswith("https")
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
