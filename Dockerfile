# Flicker in a container: docker build -t flicker:latest .
# Any base with Python 3.10 to 3.13 as `python3` will do: --build-arg BASE=…
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Dependencies first: this layer is rebuilt only when they change, not with every line of code.
# Nothing gets in but what requirements.txt knows by its hash, the build tools included.
COPY requirements.txt ./
RUN python3 -m venv /opt/flicker \
 && /opt/flicker/bin/pip install --no-deps --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY flicker_dagster flicker_dagster
RUN /opt/flicker/bin/pip install --no-deps --no-build-isolation . \
 && /opt/flicker/bin/pip check \
 && /opt/flicker/bin/pip uninstall --yes hatchling editables trove-classifiers pip \
 && /opt/flicker/bin/flicker --version

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="flicker" \
      org.opencontainers.image.description="SaaS audit logs into your SIEM, every event once, with the proof on a Dagster page." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
# /var/lib/flicker holds the spool and Dagster's own storage. It may be lost (state is in the registry and beside it),
# so it is no VOLUME; a numeric user lets Kubernetes verify runAsNonRoot.
RUN groupadd --gid 10001 flicker \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/flicker --create-home --shell /usr/sbin/nologin flicker \
 && mkdir /config
COPY --from=build /opt/flicker /opt/flicker
COPY deploy/entrypoint.sh /usr/local/bin/flicker-entrypoint
COPY deploy/healthcheck.sh /usr/local/bin/flicker-healthcheck
ENV PATH=/opt/flicker/bin:$PATH \
    HOME=/var/lib/flicker \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FLICKER_WORK_DIR=/var/lib/flicker \
    FLICKER_HOST=0.0.0.0
WORKDIR /var/lib/flicker
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
# Answered by the web UI at next to no cost; with --no-ui by `flicker health`, which costs about a CPU second.
HEALTHCHECK --interval=60s --timeout=20s --start-period=90s --retries=3 CMD ["flicker-healthcheck"]
ENTRYPOINT ["flicker-entrypoint"]
CMD ["flicker", "-c", "/config/config.yaml", "--track"]
