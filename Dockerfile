# Flicker in a container: docker build -t flicker:latest .
# Any base with Python 3.10 to 3.13 as `python3` will do: --build-arg BASE=…
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Dependencies first: this layer is rebuilt only when they change, not with every line of code.
COPY pyproject.toml constraints.txt README.md ./
RUN python3 -m venv /opt/flicker \
 && mkdir flicker_dagster && touch flicker_dagster/__init__.py \
 && /opt/flicker/bin/pip install -c constraints.txt '.[postgres]' \
 && /opt/flicker/bin/pip uninstall --yes flicker-dagster
COPY flicker_dagster flicker_dagster
RUN /opt/flicker/bin/pip install --no-deps . \
 && /opt/flicker/bin/pip uninstall --yes pip \
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
# The first heartbeats come within seconds; the check itself costs about a CPU second, so not every moment.
HEALTHCHECK --interval=60s --timeout=20s --start-period=90s --retries=3 CMD ["flicker", "health"]
ENTRYPOINT ["flicker-entrypoint"]
CMD ["flicker", "-c", "/config/config.yaml", "--track"]
