"""Mail goes to Django's outbox in memory; what it tells of happens in the sandbox."""

import datetime as dt
import smtplib
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import call_command
from django.db import connection as database
from django.utils import timezone

from revenue.alerts import send_alerts
from revenue.models import Attribution, Charge, Connection, Finding, Incident, LedgerLine, Setup, StripeAccount
from revenue.sandbox import faults
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.tasks import send_alerts_task
from sites.models import Role, Site, User
from tests.factories import MembershipFactory, send_hit

pytestmark = pytest.mark.django_db
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def mail_server(settings: Any) -> None:
    settings.HAS_MAIL_SERVER = True


def subjects() -> list[str]:
    found = [each.subject for each in mail.outbox]
    mail.outbox.clear()
    return found


def test_a_site_that_is_well_is_not_written_to(site: Site, run: Any, buy: Any) -> None:
    buy(metadata={"humblytics_view_id": str(send_hit(site))})
    run()
    send_alerts(timezone.now())
    assert subjects() == []
    assert not Incident.objects.exists()


def test_a_key_that_is_revoked_is_told_once_until_it_is_replaced(
    site: Site, run: Any, sandbox: SandboxServer, account: Account
) -> None:
    run()
    sandbox.faults.always(faults.key_refused())
    run()
    now = timezone.now()
    for minutes in range(0, 600, 15):
        send_alerts(now + dt.timedelta(minutes=minutes))
    (told,) = mail.outbox
    assert told.to == ["owner@example.com"]
    assert told.subject == "shop.example: Stripe is not read any more"
    assert "Stripe refuses the key." in told.body
    assert "Make a new restricted key" in told.body
    assert "/shop.example/settings/revenue/" in told.body
    assert account.secret_key not in told.body
    mail.outbox.clear()
    sandbox.faults.clear()
    run()
    now = timezone.now()
    send_alerts(now)
    assert subjects() == []
    assert Incident.objects.get().ended_at == now
    # The next time is another incident, with a mail of its own.
    sandbox.faults.always(faults.key_refused())
    run()
    send_alerts(timezone.now())
    (again,) = mail.outbox
    assert again.extra_headers["Message-ID"] != told.extra_headers["Message-ID"]


def test_no_success_for_hours_is_told_and_a_short_trouble_is_not(site: Site, run: Any, sandbox: SandboxServer) -> None:
    run()
    sandbox.faults.always(faults.server_error())
    run()
    synced_at = Connection.objects.get().synced_at
    assert synced_at
    send_alerts(synced_at + 6 * HOUR)
    assert subjects() == []
    send_alerts(synced_at + 6 * HOUR + dt.timedelta(minutes=1))
    (told,) = mail.outbox
    assert f"not read since {synced_at:%-d %B %Y, %H:%M} UTC. Stripe cannot be reached" in told.body


def test_the_command_tells_too_where_no_worker_runs(site: Site, run: Any, sandbox: SandboxServer) -> None:
    run()
    sandbox.faults.always(faults.key_refused())
    with pytest.raises(SystemExit):
        call_command("sync_revenue", site.domain)
    assert subjects() == ["shop.example: Stripe is not read any more"]


def test_a_key_that_was_removed_on_purpose_is_no_incident(site: Site, connection: Connection) -> None:
    Connection.objects.update(status="disconnected", sealed_key="", synced_at=timezone.now() - 99 * DAY)
    send_alerts(timezone.now())
    assert subjects() == []


@pytest.fixture
def account_of_ledger(site: Site) -> StripeAccount:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True)
    Connection.objects.create(site=site, account=account, connected_at=timezone.now(), synced_at=timezone.now())
    return account


def sell(account: StripeAccount, site: Site, at: dt.datetime, credited: int, uncredited: int) -> None:
    for n in range(credited + uncredited):
        charge = f"ch_{at.timestamp():.0f}_{n}"
        LedgerLine.objects.create(
            account=account, key=charge, kind="charge", amount=100, currency="eur", occurred_at=at, charge=charge
        )
        Attribution.objects.create(
            account=account, charge=charge, model="last_non_direct", rules_version=1, decided_at=at,
            site=site if n < credited else None, reason="" if n < credited else "no_id",
        )  # fmt: skip


def test_a_drop_of_coverage_is_told_and_does_not_become_usual(site: Site, account_of_ledger: StripeAccount) -> None:
    now = timezone.now()
    for weeks in range(1, 5):
        sell(account_of_ledger, site, now - weeks * 7 * DAY - DAY, 9, 1)
    sell(account_of_ledger, site, now - DAY, 2, 8)
    send_alerts(now)
    (told,) = mail.outbox
    assert told.subject == "shop.example: Fewer payments are credited to a visit"
    assert "Of the 10 payments of the last 7 days, 2 are credited to a visit. Before, 90% were." in told.body
    mail.outbox.clear()

    def live_on(weeks: int, credited: int) -> None:
        at = now + weeks * 7 * DAY
        Connection.objects.update(synced_at=at)
        sell(account_of_ledger, site, at - DAY, credited, 10 - credited)
        send_alerts(at)

    # Six weeks of it: what came before the incident is what counts as usual.
    for weeks in range(1, 7):
        live_on(weeks, 2)
    assert subjects() == []
    assert Incident.objects.get().ended_at is None
    live_on(7, 9)
    assert Incident.objects.get().ended_at == now + 49 * DAY
    assert subjects() == []


def test_what_had_been_missed_is_told_with_its_name_once_a_day(site: Site, run: Any, buy: Any, world: World) -> None:
    with world.at(int(world.now()) - 2 * 86_400):
        charge = buy()
    run()
    # Lost here in a way that no rule allows: the next full reading finds it.
    for model in (Charge, LedgerLine, Attribution):
        model._base_manager.all().delete()
    run(full=True)
    now = timezone.now()
    assert Finding.objects.filter(kind="healed", subject=charge).exists()
    for hours in range(20):
        Connection.objects.update(synced_at=now + hours * HOUR)
        send_alerts(now + hours * HOUR)
    (told,) = [each for each in mail.outbox if "put right" in each.subject]
    assert charge in told.body
    mail.outbox.clear()
    Connection.objects.update(synced_at=now + 25 * HOUR)
    send_alerts(now + 25 * HOUR)
    assert subjects() == []
    assert set(Incident.objects.values_list("ended_at", flat=True)) == {now + 25 * HOUR}


def test_books_that_do_not_add_up_are_told(site: Site, account_of_ledger: StripeAccount) -> None:
    now = timezone.now()
    Finding.objects.create(account=account_of_ledger, kind="shared_view", subject="a view", found_at=now)
    send_alerts(now)
    assert subjects() == []
    Finding.objects.create(account=account_of_ledger, kind="unmatched", subject="txn_1", detail="€5.00", found_at=now)
    send_alerts(now)
    assert [each.body.count("txn_1 €5.00") for each in mail.outbox] == [1]
    assert subjects() == ["shop.example: The books do not add up"]
    Finding.objects.update(gone_at=now + HOUR)
    send_alerts(now + HOUR)
    assert not Incident.objects.filter(ended_at=None).exists()


# To whom.


@pytest.fixture
def broken(site: Site, account_of_ledger: StripeAccount) -> None:
    Connection.objects.update(status="auth_failed")


def test_owners_and_administrators_are_told_each_alone(site: Site, broken: None) -> None:
    for role in Role:
        MembershipFactory(site=site, role=role, user__email=f"{role.name.lower()}2@example.com")
    gone = MembershipFactory(site=site, role=Role.ADMIN).user
    User.objects.filter(pk=gone.pk).update(is_active=False)
    MembershipFactory()
    send_alerts(timezone.now())
    assert sorted(each.to for each in mail.outbox) == [
        ["admin2@example.com"], ["owner2@example.com"], ["owner@example.com"]
    ]  # fmt: skip


def test_a_site_that_does_not_want_alerts_gets_none(site: Site, broken: None) -> None:
    Setup.objects.create(site=site, sends_alerts=False)
    send_alerts(timezone.now())
    assert subjects() == []
    Setup.objects.update(sends_alerts=True)
    send_alerts_task()
    assert len(subjects()) == 1


def test_without_a_mail_server_nothing_counts_as_told(site: Site, broken: None, settings: Any) -> None:
    settings.HAS_MAIL_SERVER = False
    send_alerts(timezone.now())
    assert not Incident.objects.exists()
    settings.HAS_MAIL_SERVER = True
    send_alerts(timezone.now())
    assert len(subjects()) == 1


def test_nothing_secret_is_in_a_mail(site: Site, broken: None) -> None:
    Connection.objects.update(status="degraded", synced_at=timezone.now() - DAY, problem="no", sealed_key="v1.sealed")
    send_alerts(timezone.now())
    assert "v1.sealed" not in mail.outbox[0].message().as_string()


# The mail server's whims.


class Refusing(BaseEmailBackend):
    """A mail server that refuses the addresses in `refused`, and takes the others."""

    refused: set[str] = set()

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        for each in messages:
            if each.to[0] in self.refused:
                raise smtplib.SMTPRecipientsRefused({each.to[0]: (550, b"no such user")})
            mail.outbox.append(each)
        return len(messages)


def test_an_address_that_is_refused_keeps_nobody_else_from_being_told_once(
    site: Site, broken: None, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    MembershipFactory(site=site, role=Role.ADMIN, user__email="second@example.com")
    monkeypatch.setattr(Refusing, "refused", {"owner@example.com"})
    for minutes in (0, 15, 30):
        send_alerts(timezone.now() + dt.timedelta(minutes=minutes))
    assert [each.to for each in mail.outbox] == [["second@example.com"]]
    assert "@example.com" not in caplog.text


def test_what_nobody_was_told_is_tried_again_under_the_same_name(
    site: Site, broken: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    monkeypatch.setattr(Refusing, "refused", {"owner@example.com"})
    send_alerts(timezone.now())
    assert not Incident.objects.exists()
    monkeypatch.setattr(Refusing, "refused", set())
    send_alerts(timezone.now())
    (told,) = mail.outbox
    assert told.extra_headers["Message-ID"].startswith(f"<alert-{site.pk}-stopped-1-")


class Slow(BaseEmailBackend):
    """A mail server so slow that another worker begins meanwhile."""

    others: list[threading.Thread] = []

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        if not self.others:
            self.others.append(threading.Thread(target=run_and_close))
            self.others[0].start()
        mail.outbox.extend(messages)
        return len(messages)


def run_and_close() -> None:
    send_alerts(timezone.now())
    database.close()


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_tell_it_once(
    site: Site, broken: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    monkeypatch.setattr(Slow, "others", [])
    send_alerts(timezone.now())
    Slow.others[0].join(60)
    assert not Slow.others[0].is_alive()
    assert len(mail.outbox) == 1
