"""The local parts that answer S3, the catalog, Postgres, DynamoDB, Bedrock and Kafka.

Starting and stopping is :func:`up` and :func:`down`; a further service is one file with a subclass
of :class:`~lakehouse.services.service.Service` and its line in ``lifecycle.CLASSES``.
"""

from lakehouse.services.lifecycle import BATCH_SERVICES, ServiceState, down, install, status, up
from lakehouse.services.remote import remote_status

__all__ = ["BATCH_SERVICES", "ServiceState", "down", "install", "remote_status", "status", "up"]
