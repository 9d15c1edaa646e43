"""What happened, for those who ask later."""

from revenue.sandbox.objects.shape import StripeObject, identifier


def event(type: str, subject: StripeObject, version: str, created: int, livemode: bool) -> StripeObject:
    """What happened, with its subject as `version` of the API showed it at that moment."""
    return {
        "id": identifier("evt_1"),
        "object": "event",
        "api_version": version,
        "created": created,
        "data": {"object": subject},
        "livemode": livemode,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }
