"""Apache Kafka 4, one broker that is its own controller. Started by name only: it needs Java.

The stream takes the broker that ``DISCOVER_KAFKA_BOOTSTRAP`` names; the default path has its own.
"""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from lakehouse import jvm
from lakehouse.errors import DiscoverError
from lakehouse.services.kafka import brokers_in_metadata
from lakehouse.services.service import Launch, Service

MEGABYTES = 256
"""Of heap: a log on disk needs little."""

_FORMAT_SECONDS = 60
_CONFIG = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}/log
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=1048577
# Nobody else can take over: one that was killed is back in seconds instead of waiting for itself.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""
_LOG = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


class ApacheKafka(Service):
    """One node on loopback, its log below the home."""

    name = "apache-kafka"
    start_seconds = 90

    def url(self) -> str:
        """The bootstrap server."""
        return f"127.0.0.1:{self.ports['kafka']}"

    def install(self) -> None:
        """Fetch a JDK, where none is here, and the broker's jars (42 MB, once for all homes)."""
        jvm.java_home(*jvm.JAVA_FOR_KAFKA)
        jvm.jars("kafka")

    def prepare(self) -> None:
        """Write its configuration, and once give its folder the identity of a new cluster.

        Raises:
            DiscoverError: the folder can't be formatted; says why.

        """
        super().prepare()
        config = _CONFIG.format(data=self.data, **self.ports)
        self._config.write_text(config)
        (self.data / "log4j2.properties").write_text(_LOG)
        if (self.data / "log" / "meta.properties").exists():
            return
        formatting = [
            *("kafka.tools.StorageTool", "format", "--ignore-formatted"),
            *("--cluster-id", _new_identity(), "--config", str(self._config)),
        ]
        done = subprocess.run(
            [*self._java(), *formatting],
            cwd=self.data,
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise DiscoverError(f"{self.name}: formatting failed: {said[-1]}", "see its folder")

    def launch(self) -> Launch:
        """The broker, in the foreground."""
        return Launch([*self._java(), "kafka.Kafka", str(self._config)])

    def probe(self) -> None:
        """Ask for the cluster's metadata, as every client does first."""
        brokers = brokers_in_metadata("127.0.0.1", self.ports["kafka"])
        if ("127.0.0.1", self.ports["kafka"]) not in brokers:
            raise OSError(f"the broker advertises {brokers}, not itself")

    @property
    def _config(self) -> Path:
        return self.data / "server.properties"

    def _java(self) -> list[str]:
        jars = jvm.jars("kafka")
        return [
            str(jvm.java_home(*jvm.JAVA_FOR_KAFKA) / "bin" / "java"),
            "-Xms64m",
            f"-Xmx{MEGABYTES}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.data / 'log4j2.properties'}",
            "-cp",
            ":".join(str(jar) for jar in jars),
        ]


def _new_identity() -> str:
    """A cluster id as Kafka makes them: a random UUID in URL-safe Base64 without padding."""
    # Its tools would take one that begins with a dash for an option.
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return identity if identity[0] != "-" else f"A{identity[1:]}"
