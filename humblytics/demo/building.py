"""Puts the invented history through the real ingest, the sandbox's real objects and the real sync."""

import asyncio
import datetime as dt
import ipaddress
import json
from collections.abc import Callable, Sequence

from humblytics.demo.goods import CURRENCY, DOMAIN
from humblytics.demo.history import Bought, Did, Happening, Left, Returned, Seen, Visitor, happenings
from revenue.connecting import connect
from revenue.models import StripeAccount
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.world import World
from revenue.sync import sync
from sites.models import Membership, Role, Site, User
from splittests.assignment import identity, variant_for
from splittests.models import SplitTest, Variant
from tracking.ahead import count_days
from tracking.connections import Pipe
from tracking.ingest import Ingest
from tracking.models import Goal
from tracking.recorder import VISIT_PAUSE
from tracking.tasks import forget_visitors
from tracking.wire import Message

EMAIL = "demo@example.com"
SECRET_KEY = "sk_test_51HumblyticsSandboxDemoKey000000000000"

# The history comes through a proxy that says where its visitors are.
PROXY = "127.0.0.1"
GOALS = (
    ("Order", Goal.Kind.PAGE, "/thank-you"),
    ("Checkout begun", Goal.Kind.EVENT, "Begin checkout"),
    ("Newsletter", Goal.Kind.EVENT, "Newsletter"),
    ("Journal read", Goal.Kind.PAGE, "/journal/*"),
)

Progress = Callable[[int], None]
Shown = Callable[[Seen], list[int]]


class BuildingError(Exception):
    """The demo's data could not be made."""


def open_account(world: World) -> Account:
    """The shop's account in the sandbox, always with the same key."""
    return world.add_account("Northlight", secret_key=SECRET_KEY)


def discard(world: World) -> None:
    """Remove what a build that was interrupted has left in the database."""
    Site.objects.filter(domain=DOMAIN).delete()
    StripeAccount.objects.filter(acct_id=open_account(world).id).delete()


def build(world: World, now: dt.datetime, password: str, progress: Progress) -> None:
    """Make the demo's user, site, connection, split test and history; `progress` is told the per cent done."""
    account = open_account(world)
    User.objects.filter(email=EMAIL).delete()
    user = User.objects.create_superuser(EMAIL, password)
    site = Site.objects.create(domain=DOMAIN, timezone="Europe/Berlin")
    Membership.objects.create(site=site, user=user, role=Role.OWNER)
    Goal.objects.bulk_create(Goal(site=site, name=name, kind=kind, pattern=pattern) for name, kind, pattern in GOALS)
    test = _split_test(site, now - dt.timedelta(days=21))
    asyncio.run(_play(site, _variants(test), world, account, happenings(now), progress))
    connection = connect(site, SECRET_KEY, now)
    report = sync(connection, now, full=True)
    if report.error:
        raise BuildingError(f"The sandbox could not be synced: {report.error}")
    forget_visitors(now)
    count_days(site, now)


def _split_test(site: Site, started_at: dt.datetime) -> SplitTest:
    test = SplitTest.objects.create(
        site=site,
        name="Buy button wording",
        key="buy-button",
        pages=["/products/*"],
        currency=CURRENCY,
        planned_visitors=2000,
        window_days=7,
        cap_percentile=99,
    )
    Variant.objects.create(test=test, name="Buy now")
    text = {"selector": "#buy", "action": "text", "name": "", "value": "Bring it home"}
    Variant.objects.create(test=test, name="Bring it home", changes=[text])
    test.start(started_at)
    test.refresh_from_db()
    return test


async def _play(
    site: Site, shown: Shown, world: World, account: Account, story: Sequence[Happening], progress: Progress
) -> None:
    """Let everything happen at its own time. Hits are sent together as far as no visit could be split by that."""
    clock = _Clock()
    lookups, writes = Pipe(), Pipe()
    ingest = Ingest(lookups, writes, [ipaddress.ip_network(PROXY)], clock=lambda: clock.now)
    paid: dict[str, tuple[str, int]] = {}
    waiting: list[asyncio.Task[None]] = []
    began_at, done = story[0].at, -1
    for n, happening in enumerate(story):
        if happening.at - began_at > VISIT_PAUSE / 2:
            await asyncio.gather(*waiting)
            waiting, began_at = [], happening.at
            if n * 100 // len(story) > done:
                done = n * 100 // len(story)
                progress(done)
        clock.now = happening.at
        match happening:
            case Seen() | Left() | Did():
                told = _told(happening, shown)
                waiting.append(asyncio.create_task(_send(ingest, site, happening.visitor, told)))
                # The task runs as far as taking the time before the clock goes on.
                await asyncio.sleep(0)
            case Bought():
                _buy(world, account, happening, paid)
            case Returned(name=name, share=share) if name in paid:
                charge, amount = paid[name]
                with world.at(int(happening.at.timestamp())):
                    world.refund(charge, round(amount * share))
    await asyncio.gather(*waiting)
    progress(100)
    await lookups.close()
    await writes.close()


class _Clock:
    now: dt.datetime


def _variants(test: SplitTest) -> Shown:
    """What the script would have told each visitor of the page under test."""
    variants = [variant.pk for variant in test.variants.all()]

    def shown(seen: Seen) -> list[int]:
        assert test.started_at
        if "/products/" not in seen.url or seen.at < test.started_at:
            return []
        return [
            variants[
                variant_for(bytes(test.secret), identity(seen.visitor.ip, seen.visitor.user_agent), [1] * len(variants))
            ]
        ]

    return shown


def _told(happening: Seen | Left | Did, shown: Shown) -> dict[str, object]:
    """Give what the script would send of it."""
    told: dict[str, object] = {"view": str(happening.view), "url": happening.url}
    match happening:
        case Seen():
            return told | {"referrer": happening.referrer, "variants": shown(happening)}
        case Left():
            return told | {"engaged": happening.engaged_ms, "scrolled": happening.scrolled}
        case Did():
            return told | {"event": happening.event, "id": str(happening.id), "props": happening.props}


async def _send(ingest: Ingest, site: Site, visitor: Visitor, told: dict[str, object]) -> None:
    body = json.dumps({"site": site.key, **told}).encode()
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    answered: list[Message] = []

    async def receive() -> Message:
        return incoming.pop()

    async def send(message: Message) -> None:
        answered.append(message)

    country, region, city = visitor.place
    headers = {
        "content-type": "text/plain",
        "user-agent": visitor.user_agent,
        "x-forwarded-for": visitor.ip,
        "cf-ipcountry": country,
        "cf-region": region,
        "cf-ipcity": city,
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/collect",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (PROXY, 0),
    }
    await ingest(scope, receive, send)
    if answered[0]["status"] != 202:
        raise BuildingError(f"A hit was refused with {answered[0]['status']}.")


def _buy(world: World, account: Account, bought: Bought, paid: dict[str, tuple[str, int]]) -> None:
    with world.at(int(bought.at.timestamp())):
        session = world.create_session(
            account,
            mode="payment",
            success_url=f"http://{DOMAIN}/thank-you",
            metadata={"humblytics_view_id": bought.carried} if bought.carried else {},
            line_items=[{**bought.product.line_item, "quantity": bought.quantity}],
        )
        if bought.outcome == "leave":
            return
        done = world.pay(session["id"], outcome=bought.outcome)
        if bought.outcome == "pay":
            intent = world.find(Owner(account.id, False), "payment_intent", done["payment_intent"])
            assert intent
            paid[bought.name] = (intent["latest_charge"], intent["amount_received"])
