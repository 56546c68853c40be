# The server as a container: docs/container.md says how it is built, run, and given its first key.
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
RUN python -m venv /opt/adjourn \
    && PIP_CONSTRAINT=constraints.txt /opt/adjourn/bin/pip install --no-cache-dir --disable-pip-version-check '.[otel]'

FROM python:3.13-slim
COPY --from=build /opt/adjourn /opt/adjourn
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin adjourn \
    && install --directory --owner=adjourn --group=adjourn --mode=0700 /data
ENV PATH=/opt/adjourn/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ADJOURN_DB=sqlite:////data/adjourn.db \
    ADJOURN_HOST=0.0.0.0 \
    ADJOURN_PORT=8080
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"ADJOURN_PORT\"]}/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["adjourn"]
CMD ["serve"]
