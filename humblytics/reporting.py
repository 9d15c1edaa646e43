"""Errors told to a Sentry, if SENTRY_DSN names one: what the log says at level ERROR, and nothing beside it.

No request, no task and no variable is looked at, and of what the SDK gathers only what is listed here is sent.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_shutdown
from django.core.exceptions import ImproperlyConfigured

from humblytics.discretion import discreet
from sites import about

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

SENT = ("event_id", "timestamp", "platform", "level", "logger", "logentry", "exception", "release", "environment")
NEVER_SENT = ("vars", "params")
FLUSH_SECONDS = 2.0


def begin(dsn: str) -> None:
    """Report errors of this process from now on. Raise ImproperlyConfigured.

    What the SDK calls personal it leaves out unless it is told otherwise.
    """
    try:
        import sentry_sdk  # noqa: PLC0415  absent where SENTRY_DSN is not set
        from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415
        from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415
        from sentry_sdk.integrations.excepthook import ExcepthookIntegration  # noqa: PLC0415
        from sentry_sdk.integrations.logging import LoggingIntegration  # noqa: PLC0415
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, but sentry-sdk is not installed: run uv sync --group sentry."
        ) from error
    try:
        sentry_sdk.init(
            dsn,
            # Others would look at requests, at tasks' arguments and at what is asked of Stripe.
            default_integrations=False,
            integrations=[
                LoggingIntegration(level=None, event_level=logging.ERROR),
                ExcepthookIntegration(),
                DedupeIntegration(),
                AtexitIntegration(callback=lambda pending, timeout: None),
            ],
            before_send=_discreet_event,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
        )
    except BadDsn as error:
        raise ImproperlyConfigured(f"SENTRY_DSN: {error}") from None
    worker_process_shutdown.connect(_flush)


def _flush(**_: Any) -> None:
    import sentry_sdk  # noqa: PLC0415  see above

    sentry_sdk.flush(FLUSH_SECONDS)


def _discreet_event(event: "Event", hint: "Hint") -> "Event":
    told: dict[str, Any] = {name: value for name, value in event.items() if name in SENT}
    told["tags"] = dict(about.facts())
    struck: Event = _struck(told)
    return struck


def _struck(value: Any) -> Any:
    """Give the same with discreet texts, and without what holds the values of variables."""
    match value:
        case str():
            return discreet(value)
        case Mapping():
            return {key: _struck(inner) for key, inner in value.items() if key not in NEVER_SENT}
        case list() | tuple():
            return [_struck(inner) for inner in value]
    return value
