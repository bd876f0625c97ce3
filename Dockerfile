# Three images of one base, each from the same hash-locked list as its virtual environment.
# Untried where this project is built: no Docker engine.
FROM python:3.11.14-slim-bookworm AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A fixed id: volumes that two images share belong to one user. Named volumes take over the owner.
RUN useradd --uid 10001 --create-home discover \
    && mkdir -p /data /state/services/superset \
    && chown -R discover:discover /data /state

FROM base AS ministack
COPY requirements/ministack.txt /requirements/
RUN pip install --require-hashes -r /requirements/ministack.txt
USER discover
ENV PERSIST_STATE=1 STATE_DIR=/data/state \
    S3_PERSIST=1 S3_DATA_DIR=/data/s3 \
    SFTP_ENABLED=0 IOT_MTLS_ENABLED=0 \
    TMPDIR=/data LOG_LEVEL=WARNING
COPY lakehouse/services/ministack_guard.py lakehouse/services/sigv4.py /opt/discover/
CMD ["python", "-P", "/opt/discover/ministack_guard.py", "/opt/discover/sigv4.py"]

FROM base AS superset
COPY requirements/superset.txt /requirements/
RUN pip install --require-hashes -r /requirements/superset.txt
COPY dashboard/superset_config.py dashboard/superset_setup.py /opt/discover/dashboard/
COPY lakehouse/business_calendar.py /opt/discover/lakehouse/
USER discover
WORKDIR /state/services/superset
ENV DISCOVER_HOME=/state \
    SUPERSET_CONFIG_PATH=/opt/discover/dashboard/superset_config.py
# Only this container's own network sees the address; compose publishes it on loopback.
CMD ["sh", "-c", "python /opt/discover/dashboard/superset_setup.py && exec gunicorn --workers=1 --worker-class=gthread --threads=8 --timeout=120 --graceful-timeout=5 --bind=0.0.0.0:18088 'superset.app:create_app()'"]

FROM base AS application
COPY requirements/main.txt /requirements/
RUN pip install --require-hashes -r /requirements/main.txt
WORKDIR /opt/discover
COPY --chown=discover:discover . .
# Editable: dbt's project and the dashboard's assets are read from beside the packages.
RUN pip install --no-deps --no-build-isolation --editable .
USER discover
ENV DISCOVER_HOME=/state
CMD ["discover", "chat", "serve"]
