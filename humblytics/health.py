"""Whether the server can do its work: /readyz, for whatever sends it visitors.

/healthz, which asks whether the process answers at all, is answered before Django.
"""

import asyncio
import json
import time
from typing import Any

import psycopg
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from tracking.recorder import Recorder
from tracking.wire import Message, Receive, Send, answer

PATIENCE_SECONDS = 5.0
# Whoever asks more often is told the same: a question is a write, although of nothing.
FRESH_SECONDS = 1.0
FIXES = {
    "database": "Start PostgreSQL, or correct DATABASE_URL.",
    "migrations": "Run manage.py migrate.",
    "recorder": "Restart this web process.",
}


class _Schema:
    # A database that has all of this code's migrations keeps them; to compare them takes longer than to ask for them.
    is_there = False


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Tell whether the database answers and has every migration, else what to do; to strangers, nothing more."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        _Schema.is_there = _Schema.is_there or _is_migrated()
    except (DatabaseError, ImproperlyConfigured):
        return JsonResponse({"database": "away", "fix": FIXES["database"]}, status=503)
    if not _Schema.is_there:
        return JsonResponse({"database": "ok", "migrations": "missing", "fix": FIXES["migrations"]}, status=503)
    return JsonResponse({"database": "ok", "migrations": "ok"})


def _is_migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


class Readiness:
    """Let `django` answer, unless its recorder is stuck or cut off: that, only this process knows.

    A database that refuses to be written to is an answer: hits are then refused by name, and pages are shown.
    """

    def __init__(self, django: Any, recorder: Recorder) -> None:
        self._django, self._recorder = django, recorder
        self._asked_at = float("-inf")
        self._check: asyncio.Task[bool] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        await self._django(scope, receive, keep)
        if told[0]["status"] == 200 and not await self._is_recorder_alive():
            body = json.dumps({"database": "ok", "recorder": "stalled", "fix": FIXES["recorder"]}).encode()
            await answer(send, 503, [(b"content-type", b"application/json")], body)
            return
        for message in told:
            await send(message)

    async def _is_recorder_alive(self) -> bool:
        if self._check is None or (self._check.done() and time.monotonic() - self._asked_at > FRESH_SECONDS):
            self._asked_at = time.monotonic()
            self._check = asyncio.create_task(self._answers())
        # It is not cut off, because it shares its connection with the hits.
        done, _ = await asyncio.wait([self._check], timeout=PATIENCE_SECONDS)
        return bool(done) and self._check.result()

    async def _answers(self) -> bool:
        try:
            await self._recorder.write_nothing()
        except psycopg.Error as error:
            # Only what the server itself said has a code.
            return error.sqlstate is not None
        except OSError:
            return False
        return True
