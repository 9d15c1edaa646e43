import datetime as dt
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue.ledger import ChargeFact, DisputeFact, Line, Movement, RefundFact, lines

DAY = dt.timedelta(days=1)
PAID = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LATER = PAID + 40 * DAY


def payment(**changed: Any) -> ChargeFact:
    return ChargeFact(
        **{
            "stripe_id": "ch_1",
            "created_at": PAID,
            "status": "succeeded",
            "captured": True,
            "amount": 5000,
            "amount_captured": 5000,
            "currency": "usd",
            "balance_transaction": "txn_paid",
            "failure_balance_transaction": "",
            "was_paid": True,
            **changed,
        }
    )


def refunded(**changed: Any) -> RefundFact:
    return RefundFact(
        **{
            "stripe_id": "re_1",
            "created_at": PAID + DAY,
            "charge": "ch_1",
            "status": "succeeded",
            "amount": 2000,
            "currency": "usd",
            "balance_transaction": "txn_back",
            "failure_balance_transaction": "",
            **changed,
        }
    )


def movement(identity: str, amount: int, **changed: Any) -> Movement:
    return Movement(
        **{
            "stripe_id": identity,
            "created_at": PAID,
            "type": "charge",
            "reporting_category": "charge",
            "source": "ch_1",
            "charge": "ch_1",
            "amount": amount,
            "fee": 0,
            "currency": "eur",
            **changed,
        }
    )


def withdrawn(**changed: Any) -> Movement:
    return movement(
        "txn_taken", -4600, **{"type": "adjustment", "reporting_category": "dispute", "source": "dp_1", **changed}
    )


def reinstated(**changed: Any) -> Movement:
    return movement(
        "txn_won", 4600, **{"type": "adjustment", "reporting_category": "dispute_reversal", "source": "dp_1", **changed}
    )


def amounts(found: list[Line]) -> dict[str, int]:
    return {line.key: line.amount for line in found}


@pytest.mark.parametrize(
    ("charge", "gross"),
    [
        pytest.param(payment(), {"charge:ch_1:gross": 5000}, id="paid"),
        pytest.param(payment(amount_captured=3000), {"charge:ch_1:gross": 3000}, id="captured in part"),
        pytest.param(payment(captured=False, amount_captured=0), {}, id="authorized only"),
        pytest.param(payment(status="pending"), {"charge:ch_1:pending": 5000}, id="bank debit on its way"),
        pytest.param(payment(status="pending", balance_transaction=""), {}, id="on its way, not booked"),
        pytest.param(payment(status="failed", captured=False, amount_captured=0), {}, id="declined"),
        pytest.param(payment(status="levitating"), {}, id="state nobody knows"),
        pytest.param(
            payment(failure_balance_transaction="txn_unseen"),
            {"charge:ch_1:pending": 5000},
            id="failed, failure not seen yet",
        ),
        pytest.param(payment(amount=10**11, amount_captured=10**11), {"charge:ch_1:gross": 10**11}, id="large"),
        pytest.param(None, {}, id="charge not seen yet"),
    ],
)
def test_a_payment_is_worth_what_was_captured(charge: ChargeFact | None, gross: dict[str, int]) -> None:
    assert amounts(lines("ch_1", charge, [], [], [])) == gross


def test_a_line_keeps_its_currency_and_takes_the_day_it_was_booked() -> None:
    booked = movement("txn_paid", 4600, created_at=PAID + DAY)

    assert lines("ch_1", payment(), [], [], [booked]) == [
        Line("charge:ch_1:gross", "charge", 5000, "usd", PAID + DAY, "ch_1", "txn_paid")
    ]
    assert lines("ch_1", payment(), [], [], [])[0].occurred_at == PAID


@pytest.mark.parametrize(
    ("refund", "net"),
    [
        pytest.param(refunded(), -2000, id="succeeded"),
        pytest.param(refunded(status="pending"), -2000, id="pending has left the balance"),
        pytest.param(refunded(status="pending", balance_transaction=""), -2000, id="pending, not booked yet"),
        pytest.param(refunded(status="requires_action", balance_transaction=""), 0, id="waits for bank details"),
        pytest.param(refunded(status="requires_action"), -2000, id="waits, but left the balance"),
        pytest.param(refunded(status="canceled", balance_transaction=""), 0, id="canceled before it left"),
        pytest.param(refunded(status="failed"), 0, id="failed, return not known yet"),
        pytest.param(refunded(status="failed", failure_balance_transaction="txn_unseen"), 0, id="return not seen"),
        pytest.param(refunded(status="unheard_of", balance_transaction=""), 0, id="unknown and nothing moved"),
        pytest.param(refunded(status="unheard_of"), -2000, id="unknown but moved"),
    ],
)
def test_a_refund_counts_when_it_left_the_balance(refund: RefundFact, net: int) -> None:
    found = lines("ch_1", payment(), [refund], [], [])

    assert sum(line.amount for line in found) == 5000 + net


@pytest.mark.parametrize(
    ("charge", "net"),
    [
        pytest.param(payment(captured=False, amount_captured=0), 0, id="let go of what was only held"),
        pytest.param(payment(amount_captured=3000), 3000, id="let go of the rest of what was held"),
        pytest.param(payment(), 3000, id="given back, not booked yet"),
        pytest.param(None, -2000, id="charge not seen yet"),
    ],
)
def test_a_refund_that_was_never_booked_moves_nothing_where_something_was_only_held(
    charge: ChargeFact | None, net: int
) -> None:
    found = lines("ch_1", charge, [refunded(balance_transaction="")], [], [])

    assert sum(line.amount for line in found) == net


def test_a_refund_that_failed_comes_back_on_the_day_it_failed() -> None:
    back = refunded(status="failed", failure_balance_transaction="txn_returned")
    returned = movement("txn_returned", 1840, type="refund_failure", source="re_1", created_at=LATER)

    _, refund, failure = lines("ch_1", payment(), [back], [], [returned])

    assert (refund.key, refund.amount, refund.occurred_at) == ("refund:re_1", -2000, PAID + DAY)
    assert failure == Line("refund:re_1:failure", "refund_failure", 2000, "usd", LATER, "ch_1", "txn_returned")


def test_a_bank_debit_that_fails_after_it_succeeded_is_undone_on_that_day() -> None:
    failed = payment(status="failed", failure_balance_transaction="txn_failed")
    bounced = movement("txn_failed", -4600, type="payment_failure_refund", created_at=LATER)

    gross, failure = lines("ch_1", failed, [], [], [bounced])

    assert (gross.amount, gross.occurred_at) == (5000, PAID)
    assert failure == Line("charge:ch_1:failure", "payment_failure", -5000, "usd", LATER, "ch_1", "txn_failed")


def test_a_debit_that_was_refused_before_it_was_paid_was_never_sold() -> None:
    refused = payment(status="failed", failure_balance_transaction="txn_failed", was_paid=False)
    bounced = movement("txn_failed", -4600, type="payment_failure_refund", created_at=LATER)

    debit, failure = lines("ch_1", refused, [], [], [movement("txn_paid", 4600), bounced])

    assert debit == Line("charge:ch_1:pending", "pending", 5000, "usd", PAID, "ch_1", "txn_paid")
    assert failure == Line("charge:ch_1:failure", "pending", -5000, "usd", LATER, "ch_1", "txn_failed")


@pytest.mark.parametrize(
    ("currency", "settled", "captured"),
    [
        pytest.param("usd", (3000, 2000), (3000, 2000), id="settled in its own currency"),
        # Of 50.00 a third is 16.67.
        pytest.param("eur", (3068, 1534), (3333, 1667), id="settled in another"),
    ],
)
def test_each_capture_is_a_line_on_its_own_day(
    currency: str, settled: tuple[int, int], captured: tuple[int, int]
) -> None:
    first = movement("txn_paid", settled[0], currency=currency)
    second = movement("txn_more", settled[1], currency=currency, created_at=LATER)
    found = {line.key: (line.amount, line.occurred_at) for line in lines("ch_1", payment(), [], [], [first, second])}

    assert found == {"charge:ch_1:gross": (captured[0], PAID), "capture:txn_more": (captured[1], LATER)}


def test_what_was_held_and_not_captured_is_no_refund() -> None:
    in_part = payment(amount_captured=3000)
    back = refunded(amount=2000)
    held = movement("txn_paid", 5000, currency="usd")
    reversed_ = movement(
        "txn_back", -2000, currency="usd", type="refund", reporting_category="partial_capture_reversal", source="re_1"
    )
    found = lines("ch_1", in_part, [back], [], [held, reversed_])

    assert [(line.key, line.kind, line.amount) for line in found] == [
        ("capture:txn_back", "capture", -2000),
        ("charge:ch_1:gross", "charge", 5000),
    ]


def test_a_failures_own_refund_is_not_counted_beside_it() -> None:
    failed = payment(status="failed", failure_balance_transaction="txn_back")
    bounced = movement(
        "txn_back", -4600, type="payment_failure_refund", reporting_category="charge_failure", source="re_1"
    )
    found = lines("ch_1", failed, [refunded(amount=5000)], [], [movement("txn_paid", 4600), bounced])

    assert amounts(found) == {"charge:ch_1:gross": 5000, "charge:ch_1:failure": -5000}


def test_a_dispute_moves_what_its_movements_say_in_their_currency() -> None:
    dispute = DisputeFact("dp_1", "ch_1")
    lost = lines("ch_1", payment(), [], [dispute], [withdrawn(fee=2000)])
    won = lines("ch_1", payment(), [], [dispute], [withdrawn(fee=2000), reinstated()])

    assert amounts(lost) == {"charge:ch_1:gross": 5000, "dispute:txn_taken": -4600, "fee:txn_taken": -2000}
    assert {line.currency for line in lost if line.kind == "dispute"} == {"eur"}
    assert sum(line.amount for line in won if line.kind == "dispute") == 0


def test_an_inquiry_moves_nothing() -> None:
    assert amounts(lines("ch_1", payment(), [], [DisputeFact("dp_1", "ch_1")], [])) == {"charge:ch_1:gross": 5000}


def test_a_disputes_movement_is_known_by_its_source_even_in_a_new_category() -> None:
    odd = withdrawn(reporting_category="something_new")

    assert "dispute:txn_taken" in amounts(lines("ch_1", payment(), [], [DisputeFact("dp_1", "ch_1")], [odd]))


def test_fees_stand_apart_in_the_currency_the_account_is_paid_in() -> None:
    found = lines("ch_1", payment(), [], [], [movement("txn_paid", 4600, fee=94)])

    assert found[-1] == Line("fee:txn_paid", "fee", -94, "eur", PAID, "ch_1", "txn_paid")


def test_a_fee_that_is_given_back_is_positive() -> None:
    found = lines("ch_1", payment(), [refunded()], [], [movement("txn_back", -1840, fee=-30, source="re_1")])

    assert amounts(found)["fee:txn_back"] == 30


def test_a_refund_without_a_charge_is_a_line_without_one() -> None:
    (line,) = lines("", None, [refunded(charge="")], [], [])

    assert (line.key, line.charge, line.amount) == ("refund:re_1", "", -2000)


STATES = st.sampled_from(["succeeded", "pending", "failed", "canceled", "requires_action", "?"])


@given(
    charge=st.builds(
        payment,
        status=STATES,
        captured=st.booleans(),
        amount_captured=st.integers(0, 10**12),
        failure_balance_transaction=st.sampled_from(["", "txn_failed", "txn_unseen"]),
        was_paid=st.booleans(),
    ),
    refunds=st.lists(
        st.builds(
            refunded,
            stripe_id=st.sampled_from(["re_1", "re_2", "re_3"]),
            status=STATES,
            amount=st.integers(1, 10**12),
            balance_transaction=st.sampled_from(["", "txn_back"]),
            failure_balance_transaction=st.sampled_from(["", "txn_returned", "txn_unseen"]),
        ),
        max_size=3,
        unique_by=lambda refund: refund.stripe_id,
    ),
)
def test_what_failed_nets_to_nothing_and_every_key_is_there_once(charge: ChargeFact, refunds: list[RefundFact]) -> None:
    known = [
        movement("txn_failed", -1, reporting_category="charge_failure"),
        movement("txn_returned", 1, source="re_1", reporting_category="refund_failure"),
    ]
    found = lines("ch_1", charge, refunds, [], known)
    nets: Counter[str] = Counter()
    for line in found:
        if line.kind == "pending":
            continue
        nets[line.key.split(":")[1]] += line.amount

    assert len({line.key for line in found}) == len(found)
    if charge.failure_balance_transaction:
        assert nets["ch_1"] == 0
    for refund in refunds:
        if refund.status in ("failed", "canceled"):
            assert nets[refund.stripe_id] == 0
        assert nets[refund.stripe_id] in (0, -refund.amount)
