"""What becomes of payments whose site is deleted: the account goes with its last site, a shared one is kept whole."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from revenue import forgetting
from revenue.connecting import connect
from revenue.crediting import CREDITED, SNAPSHOT
from revenue.models import Attribution, Charge, Connection, FormerDecision, LedgerLine, StripeAccount
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report, catch_up, sync
from sites.deletion import erase, remove
from sites.models import Site, SiteDeletion
from tests.factories import SiteFactory
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import subscribe

pytestmark = pytest.mark.django_db
Run = Callable[..., Report]
Buy = Callable[..., str]
MONTH = 31 * 86_400


def delete(site: Site) -> None:
    remove(site, "somebody", timezone.now())
    erase(SiteDeletion.objects.get(site_id=site.pk), timezone.now())


def decisions(table: type[Attribution] | type[FormerDecision] = Attribution, **which: Any) -> list[dict[str, Any]]:
    return list(table.objects.filter(**which).order_by("charge", "model").values())


def test_of_a_shared_account_the_other_site_keeps_all_and_the_deleted_one_s_payments_are_nobody_s(
    run: Run, buy: Buy, site: Site, world: World, account: Account
) -> None:
    other = SiteFactory(domain="blog.example")
    of_other = connect(other, account.secret_key, moment(world))
    letter, post = seen(site, moment(world), source="Letter"), seen(other, moment(world), source="Post")
    ours = buy(metadata={"humblytics_view_id": str(letter.id)})
    theirs = buy(metadata={"humblytics_view_id": str(post.id)})
    world.pay(world.create_session(account, **subscribe(metadata={"humblytics_view_id": str(letter.id)}))["id"])
    run()
    kept, lines = decisions(charge=theirs), list(LedgerLine.objects.order_by("pk").values())
    # As if it had been credited otherwise before.
    former = {name: value for name, value in decisions(charge=ours)[0].items() if name != "id"}
    FormerDecision.objects.create(**former, replaced_at=moment(world))

    delete(site)
    forgetting.forget(moment(world))

    assert decisions(charge=theirs) == kept
    assert list(LedgerLine.objects.order_by("pk").values()) == lines
    nothing = Attribution()
    for row in [*decisions(reason="deleted_site"), *decisions(FormerDecision)]:
        assert row["reason"] == "deleted_site"
        assert [row[name] for name in (*CREDITED, *SNAPSHOT)] == [
            getattr(nothing, each) for each in (*CREDITED, *SNAPSHOT)
        ]
    assert not Attribution.objects.filter(site=site.pk).exists()

    # Neither reading everything again nor a renewal finds another reason.
    world.advance(MONTH)
    report = sync(of_other, moment(world), full=True)
    assert (report.attributed, report.unattributed) == (1, {"deleted_site": 3})
    assert decisions(charge=theirs) == kept


def test_an_account_that_is_connected_again_before_it_is_deleted_begins_anew(
    run: Run, buy: Buy, site: Site, world: World, account: Account
) -> None:
    charge = buy(metadata={"humblytics_view_id": str(seen(site, moment(world)).id)})
    run()
    old, lines = StripeAccount.objects.get(), set(LedgerLine.objects.values_list("key", "amount"))
    delete(site)

    again = connect(SiteFactory(domain=site.domain), account.secret_key, moment(world))
    assert again.account != old
    forgetting.forget(moment(world))
    assert not Charge.objects.exists()
    report = sync(again, moment(world), drain=True)

    assert StripeAccount.objects.get() == again.account
    assert (report.attributed, list(report.unattributed.values())) == (0, [1])
    assert [row["charge"] for row in decisions(model="last")] == [charge]
    assert set(LedgerLine.objects.values_list("key", "amount")) == lines


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_reading_under_way_stops_and_nothing_of_it_is_left(
    connection: Connection, buy: Buy, site: Site, world: World, account: Account, is_shared: bool
) -> None:
    if is_shared:
        connect(SiteFactory(domain="blog.example"), account.secret_key, moment(world))
    buy()
    told: list[str] = []

    def progress(text: str) -> None:
        if not told:
            delete(site)
            forgetting.forget(moment(world))
            # What is being written is not deleted under one's hands.
            assert Charge.objects.exists() or LedgerLine.objects.exists() or StripeAccount.objects.exists()
        told.append(text)

    run = catch_up(connection, moment(world), drain=True, progress=progress)

    assert str(run.outcome.status) == "disconnected"
    assert len(told) == 1
    forgetting.forget(moment(world))
    assert StripeAccount.objects.exists() is is_shared
