"""Proves that nothing was missed: the rows are held against each other and against Stripe's balance, and whatever
does not add up is read once more before it counts as wrong.
"""

from collections.abc import Iterable

from revenue.models import Slice, Stream
from revenue.models.findings import FindingKind
from revenue.reconcile import Difference, differences, note, off_balance, shared_views
from revenue.stripe_client import MalformedAnswerError, PermissionMissingError
from revenue.tick import Tick

# So many objects are read once more, of those that the differences concern.
MOST_READ_AGAIN = 50
# So often it is waited for a balance that nobody's payment changes while it is looked at.
MOST_TRIES = 3
MOVEMENTS = "balance_transaction"


def verify(tick: Tick) -> list[Difference]:
    """Find what does not add up in the account of a tick that has run, and keep it as findings. Raise ReadError."""
    found = _judge(tick)
    mended: list[Difference] = []
    if wrong := [each for each in found if not each.is_waiting]:
        _read_again(tick, wrong)
        found = _judge(tick)
        left = {(each.kind, each.subject) for each in found}
        mended = [each for each in wrong if (each.kind, each.subject) not in left]
    note(tick.account, [*found, *shared_views(tick.account)], mended, tick.now)
    return found


def _judge(tick: Tick) -> list[Difference]:
    balance = _balance(tick)
    found = differences(tick.account, tick.moment)
    return found if balance is None else [*found, *off_balance(tick.account, balance)]


def _balance(tick: Tick) -> dict[str, int] | None:
    """Read Stripe's balance, per currency, at a moment to which all movements are known.

    None when there is none: money keeps moving, the history is not read yet, or the key may not read the balance.
    """
    account = tick.account
    is_whole = Stream.objects.filter(account=account, name=MOVEMENTS).exclude(covered_to=None).exists()
    if not is_whole or Slice.objects.filter(account=account, name=MOVEMENTS).exists():
        return None
    try:
        before = _read_balance(tick)
        for _ in range(MOST_TRIES):
            tick.read_latest(MOVEMENTS)
            after = _read_balance(tick)
            if before == after:
                return after
            before = after
    except PermissionMissingError:
        pass
    return None


def _read_balance(tick: Tick) -> dict[str, int]:
    content = tick.reader.get("/v1/balance").data
    sums: dict[str, int] = {}
    for name in ("available", "pending"):
        parts = content.get(name)
        for part in parts if isinstance(parts, list) else [None]:
            amount, currency = (part.get("amount"), part.get("currency")) if isinstance(part, dict) else (None, None)
            if type(amount) is not int or not isinstance(currency, str):
                raise MalformedAnswerError(f"Stripe's balance has no usable “{name}”.")
            sums[currency] = sums.get(currency, 0) + amount
    return sums


def _read_again(tick: Tick, wrong: Iterable[Difference]) -> None:
    concerned = list(dict.fromkeys(each.concerned for each in wrong if each.concerned))
    for name, identity in concerned[:MOST_READ_AGAIN]:
        tick.read_again(name, identity)
    # For the beat that would be too much: its sweeps come round to it.
    if tick.plan.drain and any(each.kind == FindingKind.BALANCE for each in wrong):
        tick.read_all_again(MOVEMENTS)
