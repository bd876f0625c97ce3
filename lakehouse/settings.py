"""One frozen, validated object that says what answers each interface.

Values come, first wins, from: arguments, ``DISCOVER_*`` environment variables, what the local
services wrote into the home (``services.json``: ports; ``secrets.json``: keys). Outside the
``local`` profile nothing is read from the home: endpoints and secrets are environment variables.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from lakehouse.catalog import SOURCES
from lakehouse.errors import DiscoverError, UsageError

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_HOME = REPOSITORY / ".discover"

DEFAULT_PORTS: dict[str, dict[str, int]] = {
    "seaweedfs": {
        "s3": 18333,
        "iceberg": 18181,
        "master": 19333,
        "volume": 18080,
        "filer": 18888,
        "admin": 18646,
    },
    "postgres": {"postgres": 15432},
    "ministack": {"aws": 14566},
    "kafka": {"kafka": 19092},
    "apache-kafka": {"kafka": 19094, "controller": 19095},
    "trino": {"http": 18081},
    "athena": {"http": 18082},
    "superset": {"http": 18088},
    "page": {"http": 18090},
}
"""Fixed where free, moved where taken; the home's ``services.json`` remembers the ports in use."""


class Settings(BaseSettings):
    """Everything that differs between machines and profiles. Money, rules and names do not."""

    model_config = SettingsConfigDict(env_prefix="DISCOVER_", frozen=True, extra="ignore")

    profile: Literal["local", "compose", "aws"] = "local"
    home: Path = DEFAULT_HOME
    region: str = "us-east-1"

    lake_endpoint: str | None = Field(None, description="S3 endpoint of the lake; None is AWS.")
    lake_access_key_id: str | None = None
    lake_secret_access_key: SecretStr | None = None
    catalog_uri: str | None = Field(None, description="Iceberg REST catalog.")
    catalog_warehouse: str = "s3://lake"
    lake_patience: float = Field(
        180, gt=0, description="Seconds until a request to the object store is given up."
    )
    aws_endpoint: str | None = Field(None, description="DynamoDB and Bedrock; None is AWS.")
    knowledge_base_endpoint: str | None = Field(
        None, description="S3 endpoint that Bedrock reads; None is AWS."
    )
    knowledge_base_role_arn: str = "arn:aws:iam::000000000000:role/discover-knowledge-base"
    knowledge_base_index_arn: str = Field(
        "arn:aws:s3vectors:us-east-1:000000000000:bucket/discover-vectors/index/customer-insights",
        description="S3 Vectors index of the knowledge base; infra/ makes it.",
    )
    kafka_bootstrap: str = "127.0.0.1:19092"
    postgres_dsn: SecretStr = SecretStr("")
    superset_url: str = "http://127.0.0.1:18088"
    page_url: str = "http://127.0.0.1:18090"
    page_bind: str = Field(
        "127.0.0.1", description="Address the page listens on; another only inside a container."
    )
    superset_admin_password: SecretStr = SecretStr("")
    superset_service_password: SecretStr = SecretStr("")
    superset_secret_key: SecretStr = SecretStr("")
    superset_guest_secret: SecretStr = SecretStr("")

    user: str | None = Field(None, description="Who asks when a command names nobody.")
    chat_model: str | None = Field(
        None, description="Bedrock model that plans the chat's questions; None is the parser."
    )
    chat_model_input_usd: float | None = Field(None, description="Per million input tokens.")
    chat_model_output_usd: float | None = Field(None, description="Per million output tokens.")
    timezone: str = Field("America/Toronto", description="The bank's zone: ATM times are local.")
    score_minimum: int = 300
    score_maximum: int = 900
    loan_types: tuple[str, ...] = ("car", "house", "business", "student", "personal")
    bad_share_limit: float = Field(0.05, ge=0, le=1, description="More bad rows stop a batch.")
    bad_share_limits: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description='By source, where one differs: JSON such as {"atm": 0.01}.'
    )
    bank_script_seconds: int = Field(
        600, gt=0, description="How long a script of `bank load` may run."
    )
    row_loss_limit: float = Field(
        0.2, ge=0, le=1, description="A mart that lost more of its published rows isn't published."
    )
    days_back_limit: int = Field(
        0, ge=0, description="Days that a mart's newest record may lie before the published one's."
    )
    freshness_limit: int | None = Field(
        None, ge=0, description="Days: an older newest record stops a refresh; None checks nothing."
    )
    freshness_limits: dict[str, Annotated[int, Field(ge=0)] | None] = Field(
        {}, description='By source, where one differs: JSON such as {"atm": 2, "feedback": null}.'
    )
    versions_kept: int = Field(
        5, ge=2, description="At least 2: a reader may be about to open the one before."
    )

    @field_validator("bad_share_limits", "freshness_limits")
    @classmethod
    def _of_sources(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(value) - set(SOURCES))
        if unknown:
            raise ValueError(f"no source is called {unknown[0]}; sources: {', '.join(SOURCES)}")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    def bad_share_limit_of(self, source: str) -> float:
        """The share of bad rows above which a batch of ``source`` is stopped."""
        return self.bad_share_limits.get(source, self.bad_share_limit)

    def freshness_limit_of(self, source: str) -> int | None:
        """The days that the newest record of ``source`` may be old; None for any age."""
        return self.freshness_limits.get(source, self.freshness_limit)

    def __hash__(self) -> int:
        """Settings key caches; a limit by source is a dict, which has no hash of its own."""
        return hash((self.home, self.profile))

    @property
    def logs(self) -> Path:
        """Folder of service and run logs."""
        return self.home / "logs"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, or ``{}`` where there is none.

    Raises:
        DiscoverError: the file is not JSON.

    """
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DiscoverError(f"{path} is not JSON: {error}", "mend it or remove it") from None
    return loaded


def ports(home: Path) -> dict[str, dict[str, int]]:
    """Ports by service and name: the defaults, overlaid with what this home's services took."""
    taken = read_json(home / "services.json")
    return {
        name: {**default, **taken.get(name, {}).get("ports", {})}
        for name, default in DEFAULT_PORTS.items()
    }


def local_values(home: Path) -> dict[str, Any]:
    """What the local services of a home wrote about themselves, as values of :class:`Settings`."""
    port = ports(home)
    secrets = read_json(home / "secrets.json")
    values: dict[str, Any] = {
        "lake_endpoint": f"http://127.0.0.1:{port['seaweedfs']['s3']}",
        "catalog_uri": f"http://127.0.0.1:{port['seaweedfs']['iceberg']}",
        "aws_endpoint": f"http://127.0.0.1:{port['ministack']['aws']}",
        "knowledge_base_endpoint": f"http://127.0.0.1:{port['ministack']['aws']}",
        "kafka_bootstrap": f"127.0.0.1:{port['kafka']['kafka']}",
        "superset_url": f"http://127.0.0.1:{port['superset']['http']}",
        "page_url": f"http://127.0.0.1:{port['page']['http']}",
        "user": "analyst",
        **{name: secret for name, secret in secrets.items() if name != "postgres_password"},
    }
    if "postgres_password" in secrets:
        values["postgres_dsn"] = (
            f"postgresql://bank:{secrets['postgres_password']}"
            f"@127.0.0.1:{port['postgres']['postgres']}/banking_data"
        )
    return values


def load(home: Path | str | None = None, profile: str | None = None, **overrides: Any) -> Settings:
    """The settings of one home and profile.

    Raises:
        UsageError: a value does not validate; names the setting and what is allowed.

    """
    resolved_home = Path(home or os.environ.get("DISCOVER_HOME") or DEFAULT_HOME)
    resolved_home = resolved_home.expanduser().resolve()
    resolved_profile = profile or os.environ.get("DISCOVER_PROFILE") or "local"
    values = local_values(resolved_home) if resolved_profile == "local" else {}
    from_environment = {
        name: os.environ[f"DISCOVER_{name.upper()}"]
        for name in Settings.model_fields
        if f"DISCOVER_{name.upper()}" in os.environ
        # JSON is parsed by pydantic-settings itself.
        and name not in ("loan_types", "bad_share_limits", "freshness_limits")
    }
    values = {**values, **from_environment, **overrides}
    values |= {"home": resolved_home, "profile": resolved_profile}
    try:
        return Settings(**values)
    except SettingsError as error:
        raise UsageError(str(error), "its value has to be JSON") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"setting {name}: {first['msg'].removeprefix('Value error, ')}",
            f"set DISCOVER_{name.upper()} to a valid value",
        ) from None
