"""A test's results as files. Money is in minor units."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from splittests.models import SplitTest
from splittests.readings import Arm, Reading, Results
from tracking.export import harmless

COLUMNS = (
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
)


def as_rows(results: Results) -> Iterator[list[object]]:
    """Give the headings, then a row for each variant; what there is not is empty."""
    yield list(COLUMNS)
    control, *_ = results.arms
    yield [*_figures(control), *[""] * 7]
    for reading in results.readings:
        uplift = reading.always.uplift if reading.always else None
        belief = reading.belief
        yield [
            *_figures(reading.variant),
            *((uplift.estimate, uplift.low, uplift.high) if uplift else ("", "", "")),
            "" if reading.p_value is None else reading.p_value,
            *((belief.chance_to_win, belief.risk, belief.control_risk) if belief else ("", "", "")),
        ]


def _figures(arm: Arm) -> list[object]:
    return [
        harmless(arm.name), arm.weight, arm.currency.upper(), arm.visitors, arm.conversions, arm.orders, arm.gross,
        arm.gross - arm.net, arm.net, arm.capped,
    ]  # fmt: skip


def as_data(test: SplitTest, results: Results, now: dt.datetime) -> dict[str, Any]:
    """Give everything that the page says, as JSON can hold it."""
    return {
        "test": test.name,
        "key": test.key,
        "state": test.state,
        "as_of": now.isoformat(),
        "started_at": _moment(test.started_at),
        "stopped_at": _moment(test.stopped_at),
        "currency": test.currency.upper(),
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
        "variants": [asdict(arm) for arm in results.arms],
        "comparisons": [_comparison(reading) for reading in results.readings],
    }


def _comparison(reading: Reading) -> dict[str, Any]:
    return {
        "variant": reading.variant.name,
        "at_any_time": asdict(reading.always) if reading.always else None,
        "corrected_p_value": reading.p_value,
        "believed": asdict(reading.belief) if reading.belief else None,
        "one_look": asdict(reading.once) if reading.once else None,
    }


def _moment(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
