"""The headline figures of money as people read them, with what has changed since the period they are compared with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from revenue.money import format_money, mean
from revenue.stats import Totals
from tracking.figures import change_of

# The totals of a period, and its visitors.
Counted = tuple[Totals, int]
# Minor units by currency: fees are taken in those that the accounts settle in.
Fees = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """`direction` is "good", "bad", or "" when there is nothing to judge."""

    label: str
    value: str
    change: str = ""
    direction: str = ""
    note: str = ""


def figures(counted: Counted, earlier: Counted | None, fees: Fees, fees_before: Fees | None) -> list[Figure]:
    """Give all figures; without `earlier` they are compared with nothing."""
    currency = counted[0].currency

    def money(minor: int) -> str:
        return format_money(minor, currency)

    totals, before = counted[0], earlier[0] if earlier else None
    payments = _figure("Payments", counted, earlier, lambda of: of[0].orders, lambda number: f"{number:,}")
    if totals.renewals or (before and before.renewals):
        told = f"{totals.renewals:,} renewal{'' if totals.renewals == 1 else 's'} of {money(totals.renewed)} in it"
        if before:
            told = f"{payments.note}; {told}, from {before.renewals:,} of {money(before.renewed)}"
        payments = replace(payments, note=told)
    return [
        _figure("Net revenue", counted, earlier, lambda of: of[0].net, money),
        _figure("Gross revenue", counted, earlier, lambda of: of[0].gross, money),
        payments,
        _figure("Average payment", counted, earlier, lambda of: of[0].average if of[0].orders else None, money),
        _figure("Revenue per visitor", counted, earlier, lambda of: mean(of[0].net, of[1]) if of[1] else None, money),
        _figure("Conversion rate", counted, earlier, _conversions, lambda rate: f"{rate / 100:.2f}%"),
        _figure("Refunded", counted, earlier, lambda of: of[0].refunded, money, is_good=False),
        _figure("Disputed", counted, earlier, lambda of: of[0].disputed, money, is_good=False),
        _fees(fees, fees_before),
    ]


def _fees(now: Fees, before: Fees | None) -> Figure:
    """Fees of one currency are compared; of several no sum can be made."""
    label = "Stripe’s fees"
    currencies = {currency for of in (now, before or {}) for currency, amount in of.items() if amount}
    if len(currencies) != 1:
        return Figure(label, added_up(now) or "–")
    (currency,) = currencies
    paid = now.get(currency, 0)
    if before is None:
        return Figure(label, format_money(paid, currency))
    earlier = before.get(currency, 0)
    change = change_of(paid, earlier, is_good=False)
    return Figure(label, format_money(paid, currency), *change, note=f"from {format_money(earlier, currency)}")


def added_up(amounts: Mapping[str, int]) -> str:
    """Write amounts of several currencies, which no sum can be made of."""
    return " + ".join(format_money(amount, currency) for currency, amount in amounts.items() if amount)


def _conversions(of: Counted) -> int | None:
    """Of a hundred times a hundred visitors, how many bought; None without visitors."""
    totals, visitors = of
    return round(10_000 * totals.purchases / visitors) if visitors else None


def _figure(
    label: str,
    counted: Counted,
    earlier: Counted | None,
    measure: Callable[[Counted], int | None],
    write: Callable[[int], str],
    *,
    is_good: bool = True,
) -> Figure:
    now = measure(counted)
    if now is None:
        return Figure(label, "–")
    before = measure(earlier) if earlier else None
    if before is None:
        return Figure(label, write(now))
    return Figure(label, write(now), *change_of(now, before, is_good=is_good), note=f"from {write(before)}")
