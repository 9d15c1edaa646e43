"""A test's results as files. Money is in minor units, and conversions count one each."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from splittests.inference import Comparison
from splittests.models import SplitTest
from splittests.readings import CONVERSION, Arm, Reading, Results
from tracking.export import harmless

COLUMNS = (
    "metric",
    "variant",
    "weight",
    "currency",
    "visitors",
    "conversions",
    "orders",
    "gross",
    "went_back",
    "net",
    "capped_net",
    "uplift",
    "uplift_low",
    "uplift_high",
    "p_value",
    "chance_to_win",
    "risk",
    "control_risk",
    "led",
    "lost",
    "sample_ratio_p",
    "verdict",
)


def as_rows(test: SplitTest, results: Results) -> Iterator[list[object]]:
    """Give the headings, then a row for each variant, then those of each metric; what there is not is empty.

    Each row has how many were led to the variant and lost on the way, the split's p-value and the verdict of the whole
    test, so that no figure stands alone.
    """
    yield list(COLUMNS)
    whole = ["" if results.sample_ratio_p is None else results.sample_ratio_p, harmless(results.verdict.title)]
    losses: list[list[object]] = [["", ""]] * len(results.arms)
    if results.losses:
        losses = [[arm.led, arm.lost] for arm in results.losses.arms]
    for metric, found in ((test.goal_text, results), *((each.name, each.results) for each in results.metrics)):
        for row, lost in zip(_rows(metric, found), losses, strict=True):
            yield [*row, *lost, *whole]


def _rows(metric: str, results: Results) -> Iterator[list[object]]:
    """Give a row for each arm, in their order."""
    control, *_ = results.arms
    yield [harmless(metric), *_figures(control), *[""] * 7]
    for reading in results.readings:
        uplift = reading.always.uplift if reading.always else None
        belief = reading.belief
        yield [
            harmless(metric),
            *_figures(reading.variant),
            *((uplift.estimate, uplift.low, uplift.high) if uplift else ("", "", "")),
            "" if reading.p_value is None else reading.p_value,
            *((belief.chance_to_win, belief.risk, belief.control_risk) if belief else ("", "", "")),
        ]


def _figures(arm: Arm) -> list[object]:
    money: list[object] = (
        [arm.orders, arm.gross, arm.gross - arm.net, arm.net, arm.capped] if arm.is_money else [""] * 5
    )
    return [harmless(arm.name), arm.weight, arm.currency.upper(), arm.visitors, arm.conversions, *money]


def as_data(test: SplitTest, results: Results, now: dt.datetime) -> dict[str, Any]:
    """Give everything that the page says of the test and all its visitors, as JSON can hold it."""
    return {
        "test": test.name,
        "key": test.key,
        "version": test.version,
        "hypothesis": test.hypothesis,
        "kind": test.kind,
        "pages": test.pages,
        "traffic_percent": test.traffic_percent,
        "devices": test.devices,
        "countries": test.countries,
        "channels": test.channels,
        "state": test.state,
        "as_of": now.isoformat(),
        "starts_at": _moment(test.starts_at),
        "ends_at": _moment(test.ends_at),
        "started_at": _moment(test.started_at),
        "stopped_at": _moment(test.stopped_at),
        "pauses": [
            {"began_at": _moment(pause.began_at), "ended_at": _moment(pause.ended_at)} for pause in test.pauses.all()
        ],
        "goal": test.goal_text,
        "currency": results.arms[0].currency.upper() if results.arms else "",
        "target_amount": test.target_amount,
        "planned_visitors": results.planned,
        "window_days": test.window_days,
        "cap_percentile": float(test.cap_percentile) if test.cap_percentile else None,
        "cap": results.cap,
        "verdict": {"title": results.verdict.title, "text": results.verdict.text, "winner": results.verdict.winner},
        "sample_ratio_p": results.sample_ratio_p,
        "excluded": results.excluded,
        "ripening": results.ripening,
        "returned_after_stop": results.returns.amount if results.returns else 0,
        "last_returned_at": _moment(results.returns.last_at) if results.returns else None,
        "orders_in_other_currencies": {currency.upper(): orders for currency, orders in results.strays},
        "is_test_money": results.is_test_money,
        "losses": [asdict(arm) for arm in results.losses.arms] if results.losses else [],
        "losses_are_uneven": results.losses.is_uneven if results.losses else None,
        "shown": [
            {"variant": each.name, "changes": each.changes, "redirect_url": each.redirect_url}
            for each in test.variants.all()
        ],
        **_compared(results),
        "metrics": [
            {"name": each.name, "goal": each.goal, "is_guardrail": each.is_guardrail, **_compared(each.results)}
            for each in results.metrics
        ],
    }


def _compared(results: Results) -> dict[str, Any]:
    return {
        "variants": [_arm(arm) for arm in results.arms],
        "comparisons": [_comparison(reading) for reading in results.readings],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    """Give the arm's figures; without a currency those of money would be CONVERSIONs."""
    money = ("currency", "orders", "gross", "net", "capped", "capped_squares")
    figures = {name: value for name, value in asdict(arm).items() if arm.is_money or name not in money}
    return figures | {"rate": asdict(arm.conversion_rate) if arm.conversion_rate else None}


def _comparison(reading: Reading) -> dict[str, Any]:
    return {
        "variant": reading.variant.name,
        "at_any_time": _read(reading.always, reading),
        "corrected_p_value": reading.p_value,
        "believed": asdict(reading.belief) if reading.belief else None,
        "one_look": _read(reading.once, reading),
    }


def _read(compared: Comparison | None, reading: Reading) -> dict[str, Any] | None:
    """Give the comparison; the difference is per visitor, of money or of conversions."""
    if compared is None:
        return None
    unit = 1 if reading.variant.is_money else CONVERSION
    difference = {end: value / unit for end, value in asdict(compared.difference).items()}
    return asdict(compared) | {"difference": difference}


def _moment(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
