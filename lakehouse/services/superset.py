"""Superset, in an environment of its own, for the dashboard."""

from __future__ import annotations

import hashlib
import subprocess
import time
import urllib.request
from pathlib import Path

from lakehouse.console import progress
from lakehouse.errors import DiscoverError
from lakehouse.services import environments
from lakehouse.services.service import Launch, Service, base_environment
from lakehouse.settings import REPOSITORY

MEGABYTES = 800
THREADS = 8


class Superset(Service):
    """One worker with threads: the dashboard's queries take milliseconds, a worker 370 MB."""

    name = "superset"
    # Its configuration names the page that may embed it, so the page's port must be known.
    needs = ("page",)
    start_seconds = 120

    def url(self) -> str:
        """Where it is, for a browser and for the page."""
        return f"http://127.0.0.1:{self.ports['http']}"

    def install(self) -> None:
        """Make its environment."""
        environments.ensure(self.name, megabytes=MEGABYTES)

    def prepare(self) -> None:
        """Make or upgrade its own database, aside: a killed upgrade leaves no half of one."""
        super().prepare()
        stamp = self.data / "prepared"
        wanted = self._fingerprint()
        database = self.data / "superset.db"
        if database.exists() and stamp.exists() and stamp.read_text() == wanted:
            return
        began = time.monotonic()
        progress.print("superset: preparing its database (once, about 20 s)")
        candidate = self.data / "superset.db.new"
        candidate.unlink(missing_ok=True)
        if database.exists():
            candidate.write_bytes(database.read_bytes())
        self._set_up(candidate)
        candidate.replace(database)
        stamp.write_text(wanted)
        progress.print(f"superset: prepared in {time.monotonic() - began:.0f} s")

    def launch(self) -> Launch:
        """The web server, on loopback."""
        arguments = [
            str(environments.folder(self.name) / "bin" / "gunicorn"),
            "--workers=1",
            "--worker-class=gthread",
            f"--threads={THREADS}",
            "--timeout=120",
            "--graceful-timeout=5",
            f"--bind=127.0.0.1:{self.ports['http']}",
            "superset.app:create_app()",
        ]
        return Launch(arguments, self._environment())

    def probe(self) -> None:
        """Ask for the login page: ``/health`` answers even where pages are broken."""
        with urllib.request.urlopen(f"{self.url()}/login/", timeout=3) as answer:  # noqa: S310
            if answer.status != 200:
                raise OSError(f"the login page answered {answer.status}")

    def _set_up(self, database: Path) -> None:
        settings = self.settings
        environment = {
            **base_environment(),
            **self._environment(),
            "DISCOVER_SUPERSET_DATABASE": f"sqlite:///{database}?check_same_thread=false",
            "DISCOVER_SUPERSET_ADMIN_PASSWORD": settings.superset_admin_password.get_secret_value(),
            "DISCOVER_SUPERSET_SERVICE_PASSWORD": (
                settings.superset_service_password.get_secret_value()
            ),
        }
        python = environments.folder(self.name) / "bin" / "python"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            done = subprocess.run(
                [str(python), str(_DASHBOARD / "superset_setup.py")],
                env=environment,
                cwd=self.data,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise DiscoverError("Superset's database can't be prepared", f"see {self.log}")

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        return {
            "SUPERSET_CONFIG_PATH": str(_DASHBOARD / "superset_config.py"),
            "DISCOVER_HOME": str(self.home),
            "DISCOVER_PAGE_URL": settings.page_url,
            "DISCOVER_SUPERSET_SECRET_KEY": settings.superset_secret_key.get_secret_value(),
            "DISCOVER_SUPERSET_GUEST_SECRET": settings.superset_guest_secret.get_secret_value(),
        }

    def _fingerprint(self) -> str:
        settings = self.settings
        digest = hashlib.sha256()
        digest.update((REPOSITORY / "requirements" / "superset.txt").read_bytes())
        digest.update((_DASHBOARD / "superset_setup.py").read_bytes())
        for secret in (settings.superset_admin_password, settings.superset_service_password):
            digest.update(secret.get_secret_value().encode())
        return digest.hexdigest()


_DASHBOARD = REPOSITORY / "dashboard"
