import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revenue.pager import pages
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World
from revenue.secrecy import Secret
from revenue.stripe_client import MalformedAnswerError, StripeReader, WrongModeError
from tests.revenue.conftest import moment

CHARGES = "/v1/charges"


def charge(number: int, created: int = 1000, **fields: Any) -> dict[str, Any]:
    return {"id": f"ch_{number}", "object": "charge", "created": created, "livemode": False, **fields}


def page(*items: Any, has_more: Any = False) -> Response:
    return json_response(200, {"object": "list", "url": CHARGES, "has_more": has_more, "data": list(items)})


class Script:
    """Answer the charges' list with these responses in turn, then truly; None stands for the truth."""

    def __init__(self, *responses: Response | None) -> None:
        self.responses = list(responses)
        self.queries: list[dict[str, list[str]]] = []

    def __call__(self, request: Request) -> Response | None:
        if request.path != CHARGES:
            return None
        self.queries.append(parse_qs(request.query))
        return self.responses.pop(0) if self.responses else None


@pytest.fixture
def ids(sandbox: SandboxServer, account: Account) -> Callable[..., list[str]]:
    """Page through the charges; give the ids in the order they came."""

    def ids(since: dt.datetime | None = None, until: dt.datetime | None = None) -> list[str]:
        with StripeReader(Secret(account.secret_key), sleep=lambda seconds: None) as reader:
            found = pages(reader, CHARGES, livemode=False, since=since, until=until)
            return [item["id"] for page in found for item in page.objects]

    return ids


@settings(max_examples=12)
@given(bursts=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 130)), max_size=4))
def test_any_number_of_objects_in_any_burst_comes_exactly_once(settings: Any, bursts: list[tuple[int, int]]) -> None:
    world = World()
    account = world.add_account("Shop")
    start = world.now() - 1000
    item = {"price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "Tea"}}, "quantity": 1}
    made: list[str] = []
    for pause, count in bursts:
        start += pause
        with world.at(start):
            for _ in range(count):
                session = world.create_session(
                    account, mode="payment", line_items=[item], success_url="https://shop.example/"
                )
                made.append(session["id"])
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        with StripeReader(Secret(account.secret_key)) as reader:
            found = [
                item["id"]
                for page in pages(reader, "/v1/checkout/sessions", livemode=False, since=None)
                for item in page.objects
            ]
            reads = reader.reads

    assert Counter(found) == Counter(made)
    assert reads == max(1, -(-len(made) // 100))


def test_window_edges_inclusive_no_dup(
    ids: Callable[..., list[str]], buy: Callable[..., str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 2)
    start = world.now() - 100
    made: list[str] = []
    for second in (0, 1, 1, 1, 2, 4):
        with world.at(start + second):
            made.append(buy())

    for second in range(6):
        edge = dt.datetime.fromtimestamp(start + second, dt.UTC)
        older = len([each for each in (0, 1, 1, 1, 2, 4) if each < second])
        assert (Counter(ids(None, edge)), Counter(ids(edge))) == (Counter(made[:older]), Counter(made[older:]))


def test_there_is_no_upper_bound_and_pages_are_as_long_as_can_be(
    ids: Callable[..., list[str]], sandbox: SandboxServer, world: World
) -> None:
    sandbox.faults.append(script := Script())
    ids(moment(world))

    assert script.queries == [{"limit": ["100"], "created[gte]": [str(world.now())]}]


def test_an_empty_list_is_one_page_with_its_time(sandbox: SandboxServer, account: Account, world: World) -> None:
    with StripeReader(Secret(account.secret_key)) as reader:
        (only,) = pages(reader, CHARGES, livemode=False, since=None)

    assert only.objects == []
    assert abs(only.observed_at - moment(world)) <= dt.timedelta(seconds=1)


def test_empty_page_has_more_true(ids: Callable[..., list[str]], sandbox: SandboxServer) -> None:
    sandbox.faults.append(
        script := Script(
            page(charge(3), charge(2), has_more=True),
            page(has_more=True),
            page(charge(3), charge(2), has_more=True),
            page(charge(1)),
        )
    )

    assert set(ids()) == {"ch_3", "ch_2", "ch_1"}
    assert [query.get("starting_after") for query in script.queries] == [None, ["ch_2"], None, ["ch_2"]]


def test_a_window_that_never_ends_well_is_an_error_after_three_tries(
    ids: Callable[..., list[str]], sandbox: SandboxServer
) -> None:
    sandbox.faults.append(script := Script(*[page(has_more=True)] * 9))

    with pytest.raises(MalformedAnswerError, match="3 times"):
        ids()
    assert len(script.queries) == 3


@pytest.mark.parametrize("status", [400, 404])
def test_cursor_gone_restarts_window(ids: Callable[..., list[str]], sandbox: SandboxServer, status: int) -> None:
    gone = json_response(status, {"error": {"code": "resource_missing", "param": "starting_after"}})
    sandbox.faults.append(Script(page(charge(2), has_more=True), gone, page(charge(2), has_more=True), page(charge(1))))

    assert ids() == ["ch_2", "ch_2", "ch_1"]


def test_repeated_ids_detected(ids: Callable[..., list[str]], sandbox: SandboxServer) -> None:
    sandbox.faults.append(script := Script(*[page(charge(2), charge(1), has_more=True)] * 99))

    with pytest.raises(MalformedAnswerError, match="repeats"):
        ids()
    assert len(script.queries) == 2


def test_an_object_that_comes_twice_is_given_once(ids: Callable[..., list[str]], sandbox: SandboxServer) -> None:
    sandbox.faults.append(Script(page(charge(2), charge(2), has_more=True), page(charge(2), charge(1))))

    assert ids() == ["ch_2", "ch_1"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"error": {"message": "no"}}, id="error with status 200"),
        pytest.param({"object": "charge", "data": [], "has_more": False}, id="no list"),
        pytest.param({"object": "list", "has_more": False}, id="no data"),
        pytest.param({"object": "list", "data": {}, "has_more": False}, id="data is no list"),
        pytest.param({"object": "list", "data": []}, id="no has_more"),
        pytest.param({"object": "list", "data": [], "has_more": "false"}, id="has_more is text"),
        pytest.param({"object": "list", "data": [1], "has_more": False}, id="no object"),
        pytest.param({"object": "list", "data": [charge(1, id=7)], "has_more": False}, id="id is a number"),
        pytest.param({"object": "list", "data": [charge(1, id="")], "has_more": False}, id="empty id"),
        pytest.param({"object": "list", "data": [charge(1, id="a\0b")], "has_more": False}, id="NUL in the id"),
        pytest.param({"object": "list", "data": [charge(1, id="c" * 256)], "has_more": False}, id="endless id"),
        pytest.param({"object": "list", "data": [charge(1, created="5")], "has_more": False}, id="created is text"),
        pytest.param({"object": "list", "data": [charge(1, created=True)], "has_more": False}, id="created is true"),
        pytest.param({"object": "list", "data": [charge(1, created=2**60)], "has_more": False}, id="far future"),
    ],
)
def test_a_page_that_is_not_as_stripe_writes_it_is_refused(
    ids: Callable[..., list[str]], sandbox: SandboxServer, answer: Any
) -> None:
    sandbox.faults.append(Script(json_response(200, json.loads(json.dumps(answer)))))

    with pytest.raises(MalformedAnswerError):
        ids()


def test_live_objects_under_a_test_key_are_an_error(ids: Callable[..., list[str]], sandbox: SandboxServer) -> None:
    sandbox.faults.append(Script(page(charge(2), charge(1, livemode=True))))

    with pytest.raises(WrongModeError):
        ids()
