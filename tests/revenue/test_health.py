"""Every cause on its own: a site that is well, and the one fact that is not."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue.attribution import Reason
from revenue.health import GRACE, STOPPED_AFTER, Cause, Code, Facts, Level, Reading, is_stopped, judge
from revenue.models.accounts import Status

NOW = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)

READING = Reading(
    account="acct_1 (live)",
    is_live=True,
    status="connected",
    problem="",
    connected_at=NOW - 90 * DAY,
    synced_at=NOW - MINUTE,
    tried_at=NOW - MINUTE,
    due_at=NOW + MINUTE,
    is_running=False,
    is_whole=True,
    lacking={},
    spared={},
    unsettled=0,
)
WELL = Facts(
    now=NOW,
    readings=(READING,),
    is_sandbox=False,
    payments_ever=True,
    credited=100,
    reasons={},
    elsewhere=0,
    has_dropped=False,
    last_view_at=NOW - MINUTE,
    hits=1000,
    refused_hits=0,
    refused=("", ""),
)


def of(**reading: Any) -> Facts:
    return replace(WELL, readings=(replace(READING, **reading),))


def found(facts: Facts) -> list[tuple[Code, Level]]:
    return [(cause.code, cause.level) for cause in judge(facts)]


def test_of_a_site_that_is_well_there_is_nothing_to_say() -> None:
    assert judge(WELL) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(replace(WELL, readings=()), [(Code.NOT_CONNECTED, Level.PROBLEM)], id="not connected"),
        pytest.param(of(status="disconnected"), [(Code.KEY_REMOVED, Level.PROBLEM)], id="key removed"),
        pytest.param(
            replace(WELL, readings=(READING, replace(READING, status="disconnected"))), [], id="another one is left"
        ),
        pytest.param(of(status="auth_failed"), [(Code.KEY_REFUSED, Level.PROBLEM)], id="key refused"),
        pytest.param(of(status="key_unreadable"), [(Code.KEY_UNREADABLE, Level.PROBLEM)], id="key unreadable"),
        pytest.param(of(status="account_changed"), [(Code.ACCOUNT_CHANGED, Level.PROBLEM)], id="another account"),
        pytest.param(
            of(status="degraded", lacking={"Disputes": "They would count."}),
            [(Code.PERMISSION_MISSING, Level.WARNING)],
            id="permission missing",
        ),
        pytest.param(
            of(lacking={"Disputes": "They would count."}, synced_at=NOW - 7 * HOUR),
            [(Code.PERMISSION_MISSING, Level.PROBLEM), (Code.STOPPED, Level.PROBLEM)],
            id="permission missing for hours",
        ),
        pytest.param(
            of(spared={"Balance": "No sum."}), [(Code.PERMISSION_MISSING, Level.NOTE)], id="permission not needed"
        ),
        pytest.param(of(status="throttled"), [(Code.THROTTLED, Level.WARNING)], id="throttled"),
        pytest.param(
            of(status="throttled", synced_at=NOW - 7 * HOUR),
            [(Code.THROTTLED, Level.PROBLEM)],
            id="throttled for hours",
        ),
        pytest.param(of(status="rationed"), [(Code.RATIONED, Level.WARNING)], id="rationed"),
        pytest.param(of(status="degraded"), [(Code.UNREACHABLE, Level.WARNING)], id="unreachable"),
        pytest.param(of(due_at=NOW - 20 * MINUTE, tried_at=NOW - HOUR), [(Code.NO_WORKER, Level.WARNING)], id="late"),
        pytest.param(
            of(due_at=None, tried_at=None, synced_at=None, connected_at=NOW - 20 * MINUTE, is_whole=False),
            [(Code.NO_WORKER, Level.PROBLEM), (Code.BACKFILLING, Level.NOTE)],
            id="never read",
        ),
        pytest.param(
            of(due_at=None, tried_at=None, synced_at=None, connected_at=NOW - MINUTE, is_whole=False),
            [(Code.BACKFILLING, Level.NOTE)],
            id="just connected",
        ),
        pytest.param(
            of(due_at=NOW - DAY, tried_at=NOW - DAY, synced_at=NOW - DAY, is_running=True), [], id="a long run"
        ),
        pytest.param(of(synced_at=NOW - 7 * HOUR), [(Code.STOPPED, Level.PROBLEM)], id="tried and never done"),
        pytest.param(of(is_whole=False), [(Code.BACKFILLING, Level.NOTE)], id="history"),
        pytest.param(of(is_live=False), [(Code.TEST_MODE, Level.WARNING)], id="test mode"),
        pytest.param(replace(of(is_live=False), is_sandbox=True), [], id="a sandbox has no other mode"),
        pytest.param(of(unsettled=2), [(Code.UNSETTLED, Level.WARNING)], id="does not add up"),
        pytest.param(replace(WELL, credited=0), [(Code.NO_PAYMENTS, Level.NOTE)], id="no payment lately"),
        pytest.param(
            replace(WELL, credited=0, payments_ever=False), [(Code.NO_PAYMENTS, Level.WARNING)], id="no payment ever"
        ),
        pytest.param(
            replace(WELL, credited=0, elsewhere=3), [(Code.ELSEWHERE, Level.WARNING)], id="all another site's"
        ),
        pytest.param(
            replace(of(synced_at=None, is_whole=False, connected_at=NOW), credited=0),
            [(Code.BACKFILLING, Level.NOTE)],
            id="new",
        ),
        pytest.param(replace(WELL, last_view_at=None), [(Code.NO_VIEWS, Level.PROBLEM)], id="no view ever"),
        pytest.param(replace(WELL, last_view_at=NOW - 4 * DAY), [(Code.NO_VIEWS, Level.PROBLEM)], id="no view lately"),
        pytest.param(
            replace(WELL, refused_hits=2000, refused=("Another host’s page", "Add it.")),
            [(Code.HITS_REFUSED, Level.WARNING)],
            id="hits refused",
        ),
        pytest.param(replace(WELL, refused_hits=10, refused=("Too large", "Less.")), [], id="a few hits refused"),
        pytest.param(replace(WELL, has_dropped=True), [(Code.COVERAGE_DROPPED, Level.WARNING)], id="coverage dropped"),
        pytest.param(replace(WELL, reasons={Reason.NO_ID: 5}), [(Code.NOT_CREDITED, Level.NOTE)], id="a few without"),
    ],
)
def test_each_cause_is_named(facts: Facts, expected: list[tuple[Code, Level]]) -> None:
    assert found(facts) == expected


@pytest.mark.parametrize("reason", Reason)
def test_many_payments_without_a_visit_say_why_and_what_to_do(reason: Reason) -> None:
    (cause,) = judge(replace(WELL, credited=60, reasons={reason: 40}))
    is_fault = reason not in (Reason.WAITING, Reason.RENEWAL, Reason.BOT, Reason.DELETED_SITE)
    assert cause == Cause(
        Code.NOT_CREDITED,
        Level.WARNING if is_fault else Level.NOTE,
        f"40 of the 100 payments of the last 30 days: {reason.sentence}",
        reason.fix,
        reason=reason,
    )


def test_the_worst_comes_first_and_what_is_more_frequent_before_the_rest() -> None:
    causes = judge(replace(WELL, last_view_at=None, credited=10, reasons={Reason.BOT: 2, Reason.NO_ID: 3}))
    assert [(cause.level, cause.reason) for cause in causes] == [
        (Level.PROBLEM, ""),
        (Level.WARNING, Reason.NO_ID),
        (Level.NOTE, Reason.BOT),
    ]


def test_what_a_key_lacks_names_it_and_what_it_means() -> None:
    (cause,) = judge(of(lacking={"Disputes": "They would count."}))
    assert cause.sentence == "The key may not read Disputes. They would count."
    assert "“Disputes” to Read" in cause.fix
    assert cause.account == "acct_1 (live)"


@given(
    st.sampled_from([status.value for status in Status]),
    st.sampled_from([None, NOW, NOW - STOPPED_AFTER, NOW - STOPPED_AFTER - MINUTE]),
    st.sampled_from([None, NOW - GRACE - MINUTE, NOW]),
    st.booleans(),
    st.booleans(),
)
def test_what_has_stopped_is_a_problem_of_that_account(
    status: str, synced_at: dt.datetime | None, due_at: dt.datetime | None, is_running: bool, is_whole: bool
) -> None:
    facts = of(status=status, synced_at=synced_at, due_at=due_at, is_running=is_running, is_whole=is_whole)
    causes = judge(facts)
    if is_stopped(facts.readings[0], NOW):
        assert any(cause.level == Level.PROBLEM and cause.account for cause in causes)
    # Every state is worth a word, but for the one that is well.
    if status != "connected":
        assert causes
