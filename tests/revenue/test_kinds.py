from collections.abc import Callable

import pytest

from revenue import stats
from revenue.attribution import Model
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.stats import Breakdown, Row
from revenue.sync import Report
from sites.models import Site
from sites.periods import Period
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import buy as bought
from tests.revenue.shopping import charges_of, subscribe
from tracking.counting import ask

pytestmark = pytest.mark.django_db
Run, Buy = Callable[..., Report], Callable[..., str]
MODEL = Model.LAST_NON_DIRECT
DAY = 86_400


def test_what_was_sold_is_known_of_every_payment_credited_or_not(
    run: Run, buy: Buy, world: World, account: Account, site: Site
) -> None:
    first_on = moment(world).date()
    view = seen(site, moment(world), channel="Email")
    buy(5_000, metadata={"humblytics_view_id": str(view.id)})
    buy(1_000)
    world.pay(world.create_session(account, **subscribe())["id"])
    alone = world.create_session(account, **bought(300))
    world.refund(charges_of(world, account, world.pay(alone["id"])["payment_intent"])[0]["id"], 100)
    # As if the shop had asked for the money itself.
    world.hide(alone["id"], until=world.now() + 999 * DAY)
    for _ in range(2):
        world.advance(31 * DAY)
        run()

    asked = ask(site, Period(first_on, moment(world).date(), site.zone))
    total = stats.totals(asked, MODEL)[0]
    modes = stats.breakdown(asked, "mode", MODEL, "eur")
    assert modes == Breakdown(
        (
            Row("payment", "eur", 6_000, 0, 0, 6_000, 2, 0),
            Row("subscription", "eur", 2_700, 0, 0, 2_700, 3, 0),
            Row("direct", "eur", 300, 100, 0, 200, 1, 0),
        ),
        None,
        None,
    )
    renewals = stats.breakdown(asked, "renewal", MODEL, "eur")
    assert [(row.value, row.net, row.orders) for row in renewals.rows] == [("new", 7_100, 4), ("renewal", 1_800, 2)]
    assert sum(row.net for row in modes.rows) == sum(row.net for row in renewals.rows) == total.net
