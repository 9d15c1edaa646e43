"""Trouble on order: what the server is to answer instead of the truth.

A fault is tried on every request before anything else. It returns a response to send in place of the real
one, or None to let the request through; raising ConnectionResetError breaks the connection.
"""

from collections.abc import Callable
from threading import Lock

from revenue.sandbox.messages import Request, Response

Fault = Callable[[Request], Response | None]


class Once:
    """Answer the next request to a path with `response`, or reset its connection when there is none."""

    def __init__(self, method: str, path: str, response: Response | None) -> None:
        self._target = (method, path)
        self._response = response
        self._armed = True
        self._lock = Lock()

    def __call__(self, request: Request) -> Response | None:
        with self._lock:
            if not self._armed or (request.method, request.path) != self._target:
                return None
            self._armed = False
        if self._response is None:
            raise ConnectionResetError
        return self._response
