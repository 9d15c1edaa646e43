"""The server's entry: hits and events go straight to the ingest, everything else to Django in threads.

    uvicorn humblytics.asgi:application --no-proxy-headers --no-access-log

uvicorn's own reading of X-Forwarded-For stays off, TRUSTED_PROXIES decides; its access log would write the
visitors' addresses.
"""

import asyncio
from contextlib import suppress

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from humblytics.edge import Edge
from humblytics.health import Readiness
from humblytics.wsgi import application as django_application
from splittests.redirects import variant_of
from tracking.backend import PATH, Backend
from tracking.connections import Pipe
from tracking.ingest import Ingest
from tracking.places import Atlas, UnreadableError
from tracking.wire import Message, Receive, Send

WEB_THREADS = 8
DRAIN_SECONDS = 10


class Application:
    def __init__(self) -> None:
        self._lookups, self._writes = Pipe(), Pipe()
        self._ingest = Ingest(
            self._lookups, self._writes, settings.TRUSTED_PROXIES, atlas=_atlas(), variant_of=variant_of
        )
        self._backend = Backend(self._ingest.reception, self._lookups)
        django = WSGIMiddleware(django_application, workers=WEB_THREADS)  # type: ignore[arg-type]
        self._django = Edge(django, settings.TRUSTED_PROXIES)
        self._readiness = Readiness(self._django, self._ingest.reception.recorder)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"] == "/collect":
            await self._ingest(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == PATH:
            await self._backend(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/readyz":
            await self._readiness(scope, receive, send)
        elif scope["type"] == "http":
            await self._django(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Answer the server's start and stop; what was accepted is written before the process ends."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await self._ingest.reception.close()
                await self._lookups.close()
                await self._writes.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _atlas() -> Atlas:
    try:
        return Atlas(settings.GEOIP_PATH)
    except UnreadableError as error:
        raise ImproperlyConfigured(f"GEOIP_PATH: {settings.GEOIP_PATH} {error}") from error


application = Application()
