"""How often and how much at once may be asked, as Stripe limits it for each account."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from revenue.sandbox.errors import StripeError


class Throttle:
    """None lets everybody ask as often as they like.

    Stripe allows 100 requests a second in live mode, and 25 to each address. `retry_after` is sent with a refusal
    when it is set; Stripe does not always send it.
    """

    def __init__(self) -> None:
        self.per_second: float | None = None
        self.per_second_and_path: float | None = None
        self.at_once: int | None = None
        self.retry_after: int | None = None
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def admit(self, account_id: str, path: str) -> Iterator[None]:
        """Let a request in and keep count of it while it runs, or raise what Stripe says."""
        with self._lock:
            if self.at_once is not None and self._running[account_id] >= self.at_once:
                raise self._refusal("global-concurrency")
            if not self._spend((account_id, ""), self.per_second):
                raise self._refusal("global-rate")
            if not self._spend((account_id, path), self.per_second_and_path):
                raise self._refusal("endpoint-rate")
            self._running[account_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[account_id] -= 1

    def _spend(self, bucket: tuple[str, str], rate: float | None) -> bool:
        """Take a token, of which the bucket holds what a second brings, but at least one."""
        if rate is None:
            return True
        now, most = time.monotonic(), max(rate, 1)
        tokens, since = self._buckets.get(bucket, (most, now))
        tokens = min(most, tokens + (now - since) * rate)
        self._buckets[bucket] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1

    def _refusal(self, reason: str) -> StripeError:
        return too_many(reason, self.retry_after)


def too_many(reason: str | None, retry_after: int | None) -> StripeError:
    """What Stripe says to one who asks too often; without a reason, to one who finds an object locked."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if reason is None:
        return StripeError(
            429,
            "This object cannot be accessed right now because another API request or Stripe process is currently "
            "accessing it. If you see this error intermittently, retry the request.",
            code="lock_timeout",
            headers={"Stripe-Should-Retry": "true", **headers},
        )
    return StripeError(
        429,
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": reason, **headers},
    )
