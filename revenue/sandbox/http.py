"""The sandbox on a port of this machine: Stripe's API under /v1, the checkout page under /pay.

with serve(world) as server:
    client = stripe.StripeClient(account.secret_key, base_addresses={"api": server.url})
"""

import logging
import re
import socket
import struct
import sys
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self, cast

from revenue.sandbox import checkout
from revenue.sandbox.api import Api
from revenue.sandbox.faults import Faults
from revenue.sandbox.messages import Request, Response
from revenue.sandbox.objects import identifier
from revenue.sandbox.world import World

logger = logging.getLogger(__name__)

_LARGEST_BODY = 1 << 20
_LOCAL = re.compile(r"(127(\.[0-9]{1,3}){3}|\[::1\]|([a-z0-9-]+\.)*localhost)(:[0-9]{1,5})?")
# Close with a reset instead of an orderly end.
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet per answer, sent at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    # Seconds an idle connection is kept.
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self._server = cast("_Server", self.server)
        self._skew = 0

    def do_GET(self) -> None:
        # Another site that has its name answered with 127.0.0.1 must not reach in through a browser.
        if not _LOCAL.fullmatch(self.headers.get("Host", "")):
            self.close_connection = True
            self._deliver(Response(421), identifier("req_", 14))
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self._deliver(Response(413), identifier("req_", 14))
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(length))
        request = Request(identifier("req_", 14), self.command, path, query, self.headers, body)
        try:
            response = self._server.answer(request)
        except ConnectionResetError:
            self._reset()
            return
        self._deliver(response, request.id)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _deliver(self, response: Response, request_id: str) -> None:
        how = response.delivery
        self._server.pause(how.wait)
        self._skew = how.skew
        is_cut = how.cut is not None
        self.send_response(response.status)
        own = {"Request-Id": request_id}
        if how.is_length_told:
            own["Content-Length"] = str(len(response.body))
        for name, value in {**own, **response.headers}.items():
            self.send_header(name, value)
        self.close_connection |= is_cut or not how.is_length_told
        self.end_headers()
        if self.command != "HEAD":
            self._write(response.body[: how.cut], how.pace)
        if how.is_reset:
            self.wfile.flush()
            self._reset()

    def _write(self, body: bytes, pace: tuple[int, float] | None) -> None:
        if pace is None:
            self.wfile.write(body)
            return
        length, seconds = pace
        for start in range(0, len(body), length):
            self.wfile.write(body[start : start + length])
            self.wfile.flush()
            self._server.pause(seconds)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.connection.close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self._server.world.now() + self._skew, usegmt=True)

    def version_string(self) -> str:
        return "sandbox-stripe"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the standard error output belongs to whoever runs the sandbox."""


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], world: World) -> None:
        self.world = world
        self.api = Api(world)
        self.faults = Faults()
        self.served: Counter[str] = Counter()
        self._counting = Lock()
        self._stopped = Event()
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the network for this machine's name first.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def answer(self, request: Request) -> Response:
        with self._counting:
            self.served[request.path] += 1
        for fault in list(self.faults):
            found = fault(request)
            if isinstance(found, Response):
                return found
            if found is not None:
                return found(request, self._truth)
        return self._truth(request)

    def _truth(self, request: Request) -> Response:
        if request.path.startswith(("/pay/", "/link/", "/recover/")):
            return checkout.answer(self.world, request)
        return self.api.answer(request)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the server runs."""
        self._stopped.wait(seconds)

    def end(self) -> None:
        self._stopped.set()
        self.shutdown()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that has gone is no error of the sandbox.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            logger.exception("the sandbox failed to answer")


class SandboxServer:
    """A running sandbox. All that stands here may be changed while it runs.

    `faults` make trouble, `throttle` turns callers away, `latency` is how many seconds each answer of the API takes
    at least. `served` counts the requests per path, refused and spoilt ones too.
    """

    def __init__(self, world: World, host: str, port: int) -> None:
        self._server = _Server((host, port), world)
        self.world = world
        self.url = world.origin = f"http://{host}:{self._server.server_port}"
        self.faults = self._server.faults
        self.served = self._server.served
        self.throttle = self._server.api.throttle
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox", daemon=True
        )
        self._thread.start()

    @property
    def latency(self) -> float:
        return self._server.api.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._server.api.latency = seconds

    def stop(self) -> None:
        """Close the port and every connection: from here on it is as if the machine was gone."""
        self._server.end()
        self._thread.join()
        self._server.server_close()
        for connection in list(self._server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(world: World, port: int = 0, host: str = "127.0.0.1") -> SandboxServer:
    """Serve the world in a thread, on a free port unless one is given, never where others can reach it."""
    if not re.fullmatch(r"127(\.[0-9]{1,3}){3}", host):
        raise ValueError("the sandbox listens on loopback only: its keys protect nothing")
    return SandboxServer(world, host, port)
