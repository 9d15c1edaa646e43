"""GET /metrics, in Prometheus' text format, for whoever shows METRICS_TOKEN.

What a process counts is its own. Where several share a port, each of them answers for all, from the folder that
PROMETHEUS_MULTIPROC_DIR names. What stands in the database is read from it when it is asked for.
"""

import glob
import multiprocessing
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from revenue.metrics import RevenueMetrics

QUERY_SECONDS = Histogram(
    "humblytics_query_seconds",
    "How long the pages' questions to the database took, by the name of the page or panel.",
    ["page"],
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
DATABASE = "# HELP humblytics_database_up Whether the database answered.\n# TYPE humblytics_database_up gauge\n"


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    _require_token(request)
    folder = settings.METRICS_FOLDER
    if not folder and multiprocessing.parent_process():
        # Each would tell its own part, and a counter would seem to jump back and forth.
        return HttpResponse(
            "Set PROMETHEUS_MULTIPROC_DIR: several processes answer here.\n", "text/plain; charset=utf-8", 503
        )
    told = generate_latest(_of_all_processes(folder) if folder else REGISTRY).decode()
    try:
        books = CollectorRegistry()
        books.register(RevenueMetrics(timezone.now()))
        told += f"{DATABASE}humblytics_database_up 1\n{generate_latest(books).decode()}"
    except (DatabaseError, ImproperlyConfigured):
        told += f"{DATABASE}humblytics_database_up 0\n"
    return HttpResponse(told, CONTENT_TYPE_PLAIN_0_0_4)


def _require_token(request: HttpRequest) -> None:
    """Raise Http404, as if there were nothing here, for who does not show the token, or when there is none."""
    shown, wanted = request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"
    if not settings.METRICS_TOKEN or not secrets.compare_digest(shown.encode(), wanted.encode()):
        raise Http404


def _of_all_processes(folder: str) -> CollectorRegistry:
    for file in glob.glob(os.path.join(glob.escape(folder), "gauge_live*_*.db")):
        found = re.search(r"_(\d+)\.db$", file)
        # What waited in a process that was killed waits no more.
        if found and not os.path.exists(f"/proc/{found[1]}"):
            mark_process_dead(int(found[1]), folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def measure_queries(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Measure each question that answering a request puts to the database."""

    def answer(request: HttpRequest) -> HttpResponse:
        taken: list[float] = []

        def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
            began = time.perf_counter()
            try:
                return run(sql, params, many, context)
            finally:
                taken.append(time.perf_counter() - began)

        with connection.execute_wrapper(execute):
            response = get_response(request)
        page = QUERY_SECONDS.labels(request.resolver_match.view_name if request.resolver_match else "")
        for seconds in taken:
            page.observe(seconds)
        return response

    return answer
