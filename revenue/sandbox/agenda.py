"""What happens by itself, in time. After a restart tasks come again, so each makes sure that it still applies."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from revenue.sandbox import billing, payments, payouts, reversals, sessions
from revenue.sandbox.act import Act
from revenue.sandbox.objects import StripeObject


class Task(NamedTuple):
    """Something to do with an object at a time. `number` keeps those of one second in order."""

    at: int
    number: int
    name: str
    subject: str
    argument: Any


def perform(act: Act, task: Task) -> None:
    _TASKS[task.name](act, act.get(task.subject), task.argument)


def _expire(act: Act, session: StripeObject, _: None) -> None:
    if session["status"] == "open":
        sessions.expire(act, session)


def _settle_refund(act: Act, refund: StripeObject, status: str) -> None:
    if reversals.can_become(refund, status):
        reversals.settle_refund(act, refund, status)


_TASKS: Mapping[str, Callable[[Act, StripeObject, Any], object]] = {
    "arrive": payouts.arrive,
    "book": lambda act, charge, _: payments.book_late(act, charge),
    "collect": billing.collect,
    "decide": lambda act, intent, outcome: sessions.decided(act, payments.decide(act, intent, outcome)),
    "expire": _expire,
    "finalize": lambda act, invoice, _: billing.finalize(act, invoice),
    "lapse": lambda act, charge, _: payments.lapse(act, charge),
    "renew": billing.renew,
    "settle_refund": _settle_refund,
}
