"""Events that a site's own server reports to /api/v1/events, looked at in the database."""

import asyncio
import datetime as dt
import json
import uuid

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.models import ApiToken, Site
from sites.tokens import issue
from tests.factories import InTest, SiteFactory, exchange, send_hit
from tracking.backend import STATUSES, TOKENS_SECONDS, Backend
from tracking.hits import LONGEST_BODY_WITH_PROPS
from tracking.models import DailySalt, Event, Intake, Presence, RefusedHits, Visit
from tracking.reception import Reception

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
JSON = (b"content-type", b"application/json")
Answer = tuple[int, dict[str, str], dict[str, str]]


class Server:
    """The API as one process serves it."""

    def __init__(self, at: dt.datetime = NOON) -> None:
        database = InTest()
        self.now = at
        self.reception = Reception(database, database, lambda: self.now)
        self.backend = Backend(self.reception, database)

    async def ask(self, body: bytes, headers: list[tuple[bytes, bytes]], method: str = "POST") -> Answer:
        """Give status, headers, and what the answer says."""
        status, answered, told = await exchange(self.backend, {"method": method, "headers": headers}, body)
        return status, answered, json.loads(told)


def bearer(token: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {token}".encode()


def post(token: str, at: dt.datetime = NOON, **said: object) -> Answer:
    server = Server(at)

    async def run() -> Answer:
        answered = await server.ask(json.dumps(said).encode(), [JSON, bearer(token)])
        await server.reception.close()
        return answered

    return asyncio.run(run())


@pytest.fixture
def token(site: Site) -> str:
    return issue(site, "backend")


def test_an_event_of_a_view_is_of_its_visit_and_visitor(site: Site, token: str) -> None:
    view = send_hit(site, at=NOON)
    later = NOON + dt.timedelta(hours=3)
    status, _, told = post(token, later, name="Refund", props={"plan": "pro"}, view_id=str(view), path="/orders?id=7")
    event, visit = Event.objects.get(), Visit.objects.get()
    assert (status, told) == (202, {"id": str(event.id)})
    assert (event.name, event.props, event.path, event.at) == ("Refund", {"plan": "pro"}, "/orders", later)
    assert (event.view_id, event.visit_id, event.visitor) == (view, visit.id, visit.visitor)
    assert (visit.views, visit.last_at) == (1, NOON)


def test_without_a_view_each_event_is_a_visitor_of_its_own(token: str) -> None:
    for _ in range(2):
        assert post(token, name="Signup")[0] == 202
    assert Event.objects.values("visitor").distinct().count() == 2
    assert set(Event.objects.values_list("visit_id", flat=True)) == {None}
    assert not Visit.objects.exists()
    assert not Presence.objects.exists()


def test_a_user_that_the_server_names_is_one_visitor_a_day_and_the_name_is_not_kept(site: Site, token: str) -> None:
    for at in (NOON, NOON + dt.timedelta(hours=1), NOON + dt.timedelta(days=1)):
        post(token, at, name="Login", visitor="user-4711")
    post(token, name="Login", visitor="user-4712")
    post(issue(SiteFactory(), "other"), name="Login", visitor="user-4711")
    visitors = list(Event.objects.order_by("at").values_list("visitor", flat=True))
    assert len(visitors) == 5
    assert len(set(visitors)) == 4
    assert DailySalt.objects.exists()
    assert "4711" not in str(list(Event.objects.values()))


def test_an_event_with_an_id_counts_once_however_often_it_is_sent(token: str) -> None:
    event_id = str(uuid.uuid4())
    for _ in range(3):
        assert post(token, name="Signup", id=event_id)[2] == {"id": event_id}
    assert Event.objects.get().id == uuid.UUID(event_id)


def test_the_page_is_told_by_its_address(site: Site, token: str) -> None:
    assert post(token, name="Signup", url="https://www.shop.example/join?token=secret#/step")[0] == 202
    assert Event.objects.get().path == "/join"
    Intake.objects.create(site=site, hostnames=["shop.example"])
    status, answered, told = post(token, name="Signup", url="https://www.shop.example/join")
    assert (status, answered["x-humblytics"], told["error"]) == (403, "dropped=other-host", "other-host")
    assert RefusedHits.objects.values_list("reason", "hits").get() == ("other-host", 1)


@pytest.mark.parametrize(
    "authorization", [b"", b"Bearer", b"Bearer ", b"Basic aGw6", b"Bearer hl_nobody", b"Bearer \xff", b"hl_nobody"]
)
def test_without_a_token_nothing_is_taken(token: str, authorization: bytes) -> None:
    server = Server()
    headers = [JSON, (b"authorization", authorization)]
    status, answered, told = asyncio.run(server.ask(b'{"name": "Signup"}', headers))
    assert (status, answered["www-authenticate"], told["error"]) == (401, "Bearer", "token")
    assert not Event.objects.exists()


def test_when_a_token_was_last_used_is_known_to_within_a_minute(token: str) -> None:
    server, database = Server(), InTest()

    async def run() -> list[dt.datetime]:
        found = []
        for seconds in (0, 59, 60):
            server.now = NOON + dt.timedelta(seconds=seconds)
            assert (await server.ask(b'{"name": "Signup"}', [JSON, bearer(token)]))[0] == 202
            ((used_at,),) = await database.execute("SELECT used_at FROM sites_apitoken")
            found.append(used_at)
        await server.reception.close()
        return found

    assert asyncio.run(run()) == [NOON, NOON, NOON + dt.timedelta(seconds=60)]


def test_what_is_kept_of_a_token_is_no_token(token: str) -> None:
    assert post(ApiToken.objects.get().digest, name="Signup")[0] == 401


def test_a_token_for_something_else_is_not_enough(site: Site, token: str) -> None:
    ApiToken.objects.update(scope="something-else")
    status, _, told = post(token, name="Signup")
    assert (status, told["message"]) == (403, "This token is not for reporting events.")


def test_a_revoked_token_is_good_for_a_few_seconds_at_most(
    site: Site, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 100.0
    monkeypatch.setattr("tracking.known.time.monotonic", lambda: moment)
    server = Server()

    def status() -> int:
        return asyncio.run(server.ask(b'{"name": "Signup"}', [JSON, bearer(token)]))[0]

    assert status() == 202
    ApiToken.objects.all().delete()
    assert status() == 202
    moment += TOKENS_SECONDS + 0.1
    assert status() == 401


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param({}, "“name” must tell what happened.", id="no-name"),
        pytest.param({"name": " "}, "“name” must tell what happened.", id="blank-name"),
        pytest.param({"name": 7}, "“name” must be a text.", id="name-is-a-number"),
        pytest.param({"name": "x", "props": []}, "“props” must be an object of at most 20 names.", id="props-list"),
        pytest.param({"name": "x", "view_id": "7"}, "“view_id” must be a UUID.", id="view"),
        pytest.param({"name": "x", "id": None}, "“id” must be a text.", id="id"),
        pytest.param({"name": "x", "path": "join"}, "“path” must begin with a slash.", id="path"),
        pytest.param({"name": "x", "url": "/join"}, "“url” must begin with https:// or http:// and a host.", id="url"),
        pytest.param({"name": "x", "visitor": "x" * 201}, "“visitor” must have at most 200 letters.", id="visitor"),
    ],
)
def test_what_cannot_be_read_is_explained(token: str, said: dict[str, object], message: str) -> None:
    status, answered, told = post(token, **said)
    assert (status, answered["x-humblytics"]) == (400, "dropped=malformed")
    assert told == {"error": "malformed", "message": message}
    assert not Event.objects.exists()


def test_other_methods_types_and_sizes_are_refused_in_words(token: str) -> None:
    server = Server()

    def answer(body: bytes, *headers: tuple[bytes, bytes], method: str = "POST") -> tuple[int, str]:
        status, answered, told = asyncio.run(server.ask(body, [bearer(token), *headers], method))
        assert not {name for name in answered if name.startswith("access-control")}
        return status, told["message"]

    assert answer(b"", method="GET") == (405, "Send events by POST.")
    assert answer(b"", method="OPTIONS") == (405, "Send events by POST.")
    assert answer(b"{}", (b"content-type", b"text/plain"))[0] == 415
    assert answer(b" " * (LONGEST_BODY_WITH_PROPS + 1), JSON) == (413, "The body is larger than 16 KiB.")
    assert answer(b"[]", JSON) == (400, "The body must be a JSON object.")


def test_a_server_that_runs_wild_is_held_up(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.backend.BURST", 5)
    monkeypatch.setattr("tracking.backend.PER_SECOND", 0.1)
    server = Server()
    other = issue(SiteFactory(), "other")

    async def run() -> list[Answer]:
        return [await server.ask(b'{"name": "Loop"}', [JSON, bearer(each)]) for each in [token] * 7 + [other]]

    answers = asyncio.run(run())
    assert [status for status, _, _ in answers] == [202] * 5 + [429, 429, 202]
    assert 0 < int(answers[5][1]["retry-after"]) <= 10


def test_when_the_database_is_away_the_answer_is_503(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()

    def status() -> int:
        return asyncio.run(server.ask(b'{"name": "Signup"}', [JSON, bearer(token)]))[0]

    async def away(self: InTest, statement: str, parameters: object = ()) -> object:
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(InTest, "execute", away)
        assert status() == 503
    assert status() == 202
    with monkeypatch.context() as patched:
        patched.setattr(InTest, "execute", away)
        assert status() == 503
    assert Event.objects.count() == 1


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.dictionaries(st.text(), st.text())
NAMES = st.sampled_from(["name", "props", "view_id", "id", "url", "path", "visitor"])


@pytest.mark.django_db
@settings(max_examples=100)
@given(said=st.dictionaries(NAMES, VALUES).map(lambda odd: {"name": "x"} | odd), raw=st.none() | st.binary())
def test_nothing_that_is_reported_breaks_the_server_or_is_more_than_one_row(
    token: str, said: dict[str, object], raw: bytes | None
) -> None:
    before = Event.objects.count()
    server = Server()
    status, _, _ = asyncio.run(server.ask(raw or json.dumps(said).encode(), [JSON, bearer(token)]))
    assert status in {202, *STATUSES.values()} - {503}
    assert Event.objects.count() - before == (status == 202)
