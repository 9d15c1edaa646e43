import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from revenue import connecting
from revenue import sync as syncing
from revenue.connecting import connect
from revenue.customers import PaymentReader
from revenue.models import Connection
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.world import World
from revenue.stripe_client import StripeReader
from revenue.sync import Report, sync
from sites.models import Site
from tests.revenue.shopping import Clock, ask
from tracking.models import View, Visit


@pytest.fixture
def world() -> World:
    """A world whose clock only moves when it is told to, so that things happen in the same second."""
    start = time.time()
    return World(now=lambda: start)


@pytest.fixture
def account(world: World) -> Account:
    return world.add_account("Shop")


@pytest.fixture
def books(world: World, account: Account) -> Iterator[None]:
    """However a test leaves the sandbox: its balance is right to the cent."""
    yield
    world.check(account)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(world: World) -> Iterator[SandboxServer]:
    """The world's server, for whoever asks it directly."""
    with serve(world) as server:
        yield server


@pytest.fixture
def get(server: SandboxServer, account: Account) -> Callable[[str], Any]:
    """Ask the server as its account; give the answer's body."""

    def get(path: str) -> Any:
        status, _, content = ask(server, f"/v1/{path}", account.secret_key)
        assert status == 200
        return content

    return get


@pytest.fixture
def sandbox(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """The world's server in Stripe's place; pauses between tries take no time."""
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        monkeypatch.setattr(syncing, "PaymentReader", partial(PaymentReader, sleep=lambda seconds: None))
        monkeypatch.setattr(connecting, "StripeReader", partial(StripeReader, sleep=lambda seconds: None))
        yield server


@pytest.fixture
def connection(site: Site, account: Account, world: World, sandbox: SandboxServer) -> Connection:
    return connect(site, account.secret_key, moment(world))


def moment(world: World) -> dt.datetime:
    return dt.datetime.fromtimestamp(world.now(), dt.UTC)


@pytest.fixture
def run(connection: Connection, world: World) -> Callable[..., Report]:
    """Sync with the world's time as ours; the lists are read unless `drain=False` is asked for."""

    def run(drain: bool = True, **options: Any) -> Report:
        connection.refresh_from_db()
        return sync(connection, moment(world), drain=drain, **options)

    return run


@pytest.fixture
def buy(world: World, account: Account) -> Callable[..., str]:
    """Let a buyer pay through a checkout; give the charge's id."""

    def buy(amount: int = 5000, currency: str = "eur", outcome: str = "pay", **session: Any) -> str:
        item = {
            "price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "Tea"}},
            "quantity": 1,
        }
        opened = world.create_session(
            account, mode="payment", line_items=[item], success_url="https://shop.example/thanks", **session
        )
        intent = world.pay(opened["id"], outcome)["payment_intent"]
        paid = world.page(
            Owner(account.id, False), "charge", lambda charge: charge["payment_intent"] == intent, limit=1
        )
        return paid.data[0]["id"]

    return buy


def seen(site: Site, at: dt.datetime, visitor: uuid.UUID | None = None, **visit: Any) -> View:
    """Record a visit of one page view."""
    text = dict.fromkeys(
        [
            *("hostname", "source", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term"),
            *("utm_content", "click_id", "country", "region", "city", "browser", "os", "device"),
        ],
        "",
    )
    paths = {"entry_path": "/", "exit_path": "/", "channel": "Direct"}
    row = Visit.objects.create(
        site=site,
        id=uuid.uuid4(),
        visitor=visitor or uuid.uuid4(),
        started_at=at,
        last_at=at,
        **{"views": 1, "variants": [], **text, **paths, **visit},
    )
    return View.objects.create(
        site=site,
        id=uuid.uuid4(),
        visit_id=row.id,
        visitor=row.visitor,
        at=at,
        hostname=site.domain,
        path=row.exit_path,
        variants=row.variants,
    )
