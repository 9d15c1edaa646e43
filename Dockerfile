# Humblytics as one image for the server, the worker and the beat: compose.yaml says how they are started.
#
#     docker build --tag humblytics .

FROM python:3.13-slim-bookworm AS build
RUN pip install --no-cache-dir "uv==0.13.*"
WORKDIR /app
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# The libraries first, so that a change of the code alone takes seconds. No PostgreSQL of its own: the database is
# another container.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --group sentry
COPY . .
# These secrets sign and encrypt nothing, and stay in this stage.
RUN SECRET_KEY=of-the-build HUMBLYTICS_ENCRYPTION_KEYS=build:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    .venv/bin/python manage.py collectstatic --noinput \
    && rm -rf tests .ci \
    && .venv/bin/python -m compileall -q humblytics sites tracking revenue splittests

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home humblytics
COPY --from=build /app /app
WORKDIR /app
# Everything that must last is in PostgreSQL and the environment; what is written besides is for as long as the
# container lives, below /tmp.
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["uvicorn", "humblytics.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "20", "--log-config", "humblytics/logging.json"]
