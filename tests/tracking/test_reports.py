"""Times are passed in; mail goes to Django's outbox in memory."""

import datetime as dt
import re
import smtplib
import threading
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from sites.models import Role, Site, User
from tests.factories import MembershipFactory, SiteFactory, send_hit
from tests.mmdb import write_mmdb
from tracking.models import EmailReport, Goal
from tracking.reports import UNSUBSCRIBING, due, ended, message, send_reports
from tracking.tasks import send_reports_task

PAGE = "/shop.example/settings/reports/"
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
# A Monday.
MONDAY = dt.datetime(2026, 11, 23, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def mail_server(settings: Any) -> None:
    settings.HAS_MAIL_SERVER = True


def report_of(site: Site, every: str = "week", email: str = "reader@example.com", **known: Any) -> EmailReport:
    report = EmailReport.objects.create(site=site, email=email, every=every, **known)
    EmailReport.objects.filter(pk=report.pk).update(created_at=LONG_AGO)
    report.refresh_from_db()
    return report


def at(text: str, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("every", "day", "first", "last"),
    [
        ("week", "2026-11-23", "2026-11-16", "2026-11-22"),
        ("week", "2026-11-29", "2026-11-16", "2026-11-22"),
        ("week", "2027-01-04", "2026-12-28", "2027-01-03"),
        ("month", "2026-12-01", "2026-11-01", "2026-11-30"),
        ("month", "2026-12-31", "2026-11-01", "2026-11-30"),
        ("month", "2027-01-01", "2026-12-01", "2026-12-31"),
        ("month", "2026-03-01", "2026-02-01", "2026-02-28"),
        ("month", "2028-03-15", "2028-02-01", "2028-02-29"),
    ],
)
def test_a_report_is_about_the_week_or_month_that_ended(every: str, day: str, first: str, last: str) -> None:
    period = ended(every, dt.date.fromisoformat(day), BERLIN)
    assert (period.first_on.isoformat(), period.last_on.isoformat()) == (first, last)


@given(st.dates(dt.date(1995, 1, 1), dt.date(2150, 1, 1)), st.sampled_from(["week", "month"]))
def test_periods_follow_each_other_without_a_gap(day: dt.date, every: str) -> None:
    period = ended(every, day, BERLIN)
    assert period.last_on < day <= period.last_on + dt.timedelta(days=7 if every == "week" else 31)
    assert ended(every, period.first_on, BERLIN).end_at == period.start_at


@pytest.mark.parametrize(
    ("zone", "every", "last_moment", "first_moment"),
    [
        pytest.param("UTC", "week", "2026-11-23T05:59", "2026-11-23T06:00", id="UTC"),
        pytest.param("Europe/Berlin", "week", "2026-03-30T03:59", "2026-03-30T04:00", id="clocks went forward"),
        pytest.param("Europe/Berlin", "week", "2026-10-26T04:59", "2026-10-26T05:00", id="clocks went back"),
        pytest.param("Pacific/Auckland", "week", "2026-11-22T16:59", "2026-11-22T17:00", id="Sunday in UTC"),
        pytest.param("America/Los_Angeles", "month", "2026-03-01T13:59", "2026-03-01T14:00", id="a month in the west"),
        pytest.param("Pacific/Kiritimati", "month", "2026-02-28T15:59", "2026-02-28T16:00", id="a month in the east"),
    ],
)
def test_a_report_is_due_from_six_in_the_morning_of_its_site(
    site: Site, zone: str, every: str, last_moment: str, first_moment: str
) -> None:
    site.timezone = zone
    site.save()
    report = report_of(site, every)
    early, period = due(report, at(last_moment)), due(report, at(first_moment))
    assert early is None
    assert period == ended(every, at(first_moment).astimezone(site.zone).date(), site.zone)


def test_a_day_s_length_does_not_matter_to_an_hourly_run(site: Site) -> None:
    site.timezone = "Europe/Berlin"
    site.save()
    report_of(site, "week"), report_of(site, "month")
    now, end = at("2026-02-20T00:20"), at("2026-05-02T00:20")
    subjects = []
    while now < end:
        send_reports(now)
        subjects += [each.subject.partition(": ")[2] for each in mail.outbox]
        mail.outbox.clear()
        now += HOUR
    weeks = [subject for subject in subjects if subject.startswith("week")]
    # What was due when it began comes at once.
    assert [subject for subject in subjects if subject not in weeks] == [
        *("January 2026", "February 2026", "March 2026", "April 2026")
    ]
    assert len(weeks) == len(set(weeks)) == 11


def test_what_ended_before_a_report_was_asked_for_is_not_sent(site: Site) -> None:
    report = report_of(site)
    report.created_at = MONDAY - 24 * HOUR
    assert due(report, MONDAY)
    report.created_at = MONDAY - HOUR
    assert due(report, MONDAY) is None
    assert due(report, MONDAY + dt.timedelta(days=7))


def test_a_report_is_sent_once_however_often_the_task_runs(site: Site) -> None:
    report = report_of(site)
    for hours in range(24):
        send_reports(MONDAY + hours * HOUR)
    assert [each.to for each in mail.outbox] == [["reader@example.com"]]
    report.refresh_from_db()
    assert report.sent_through_on == dt.date(2026, 11, 22)


def test_the_task_sends_what_is_due(site: Site) -> None:
    # Where it is now long past six in the morning, and not yet midnight.
    site.timezone = "Asia/Tokyo" if timezone.now().hour in (23, *range(7)) else "UTC"
    site.save()
    report_of(site), report_of(site, "month")
    send_reports_task()
    assert len(mail.outbox) == 2


def test_without_a_mail_server_nothing_is_sent_or_marked(site: Site, settings: Any) -> None:
    settings.HAS_MAIL_SERVER = False
    report = report_of(site)
    send_reports(MONDAY)
    assert mail.outbox == []
    report.refresh_from_db()
    assert report.sent_through_on is None


class Refusing(BaseEmailBackend):
    """A mail server that refuses the addresses in `refused`, and takes the others."""

    refused: set[str] = set()

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        for each in messages:
            if each.to[0] in self.refused:
                raise smtplib.SMTPRecipientsRefused({each.to[0]: (451, b"try again later")})
            mail.outbox.append(each)
        return len(messages)


class Away(BaseEmailBackend):
    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise ConnectionRefusedError("refused: reader@example.com")


def test_what_the_mail_server_refused_is_tried_again_and_others_are_sent(
    site: Site, settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    report_of(site, email="bad@example.com")
    report_of(site, email="good@example.com")
    monkeypatch.setattr(Refusing, "refused", {"bad@example.com"})
    send_reports(MONDAY)
    assert [each.to[0] for each in mail.outbox] == ["good@example.com"]
    assert "was not sent and will be tried again: SMTPRecipientsRefused" in caplog.text
    assert "example.com" not in caplog.text
    monkeypatch.setattr(Refusing, "refused", set())
    send_reports(MONDAY + HOUR)
    assert [each.to[0] for each in mail.outbox] == ["good@example.com", "bad@example.com"]


def test_a_mail_server_that_is_away_loses_no_report(
    site: Site, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    report_of(site)
    settings.EMAIL_BACKEND = f"{__name__}.Away"
    send_reports(MONDAY)
    assert "ConnectionRefusedError" in caplog.text
    assert "reader@" not in caplog.text
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    send_reports(MONDAY + dt.timedelta(days=2))
    assert [each.subject for each in mail.outbox] == ["shop.example: week from 16 Nov 2026 to 22 Nov 2026"]


class Slow(BaseEmailBackend):
    """A mail server so slow that another worker begins meanwhile."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        other = threading.Thread(target=run_and_close)
        other.start()
        other.join(20)
        assert not other.is_alive()
        mail.outbox.extend(messages)
        return len(messages)


def run_and_close() -> None:
    send_reports(MONDAY)
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_a_report_once(settings: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    report_of(SiteFactory())
    send_reports(MONDAY)
    assert len(mail.outbox) == 1


def test_a_report_that_is_sent_again_after_a_crash_is_the_same_mail(site: Site) -> None:
    report = report_of(site)
    period = due(report, MONDAY)
    assert period
    first, again = message(report, period, MONDAY), message(report, period, MONDAY + HOUR)
    assert first.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]
    later = due(report, MONDAY + dt.timedelta(days=7))
    assert later
    assert message(report, later, MONDAY).extra_headers["Message-ID"] != first.extra_headers["Message-ID"]


@pytest.fixture
def sent(site: Site) -> EmailMessage:
    """The report of a week with three visits, after one with two."""
    Goal.objects.create(site=site, name="Order", pattern="/thanks")
    for ip, day in (("8.8.8.8", 10), ("9.9.9.9", 12), ("8.8.8.8", 16), ("9.9.9.9", 18), ("193.99.144.80", 22)):
        send_hit(site, "/<b>&co", "https://news.example/", ip=ip, at=dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC))
    send_hit(site, "/thanks", ip="193.99.144.80", at=dt.datetime(2026, 11, 22, 12, 5, tzinfo=dt.UTC))
    send_hit(site, "/tomorrow", ip="193.99.144.80", at=dt.datetime(2026, 11, 23, 2, tzinfo=dt.UTC))
    report_of(site)
    send_reports(MONDAY)
    (found,) = mail.outbox
    return found


def test_a_report_first_says_why_it_comes(sent: EmailMessage) -> None:
    first, second = str(sent.body).splitlines()[:2]
    assert first == (
        "You get this because somebody who runs shop.example entered your address at http://localhost:8000."
    )
    assert second.startswith("To get no more: http://localhost:8000/unsubscribe/")


def test_a_report_has_the_figures_compared_with_the_week_before(sent: EmailMessage) -> None:
    assert sent.subject == "shop.example: week from 16 Nov 2026 to 22 Nov 2026"
    body = str(sent.body)
    assert "compared with the week before" in body
    assert "Visitors: 3 (+50% from 2)" in body
    assert "Views: 4 (+100% from 2)" in body


def test_a_report_names_what_was_seen_most(sent: EmailMessage) -> None:
    body = str(sent.body)
    for line in ("Top pages\n  3  /<b>&co\n  1  /thanks", "Sources\n  3  news.example", "Goals\n  1  Order"):
        assert line in body
    assert "United States" in body
    assert "/tomorrow" not in body


def test_a_report_is_text_and_html(sent: EmailMessage) -> None:
    ((page, kind),) = sent.alternatives  # type: ignore[attr-defined]
    assert kind == "text/html"
    assert "/&lt;b&gt;&amp;co" in page
    assert "<b>&co" not in page
    assert "<strong>3</strong>" in page
    raw = sent.message().as_string()
    assert "multipart/alternative" in raw
    assert "Auto-Submitted: auto-generated" in raw
    assert "From: Humblytics <humblytics@localhost>" in raw


def test_a_report_of_countries_has_the_credit_that_their_maker_asks_for(
    site: Site, settings: Any, tmp_path: Path
) -> None:
    made = write_mmdb(tmp_path / "places.mmdb", {"8.8.8.0/24": {"country": {"iso_code": "US"}}}, "DBIP-City-Lite")
    settings.GEOIP_PATH = str(made)
    report_of(site)
    send_reports(MONDAY)
    (sent,) = mail.outbox
    assert str(sent.body).endswith("\nIP Geolocation by DB-IP: https://db-ip.com\n")
    ((page, _),) = sent.alternatives  # type: ignore[attr-defined]
    assert '<a href="https://db-ip.com">IP Geolocation by DB-IP</a>' in page


def test_a_report_leads_to_its_period_s_dashboard(sent: EmailMessage, owner_client: Client) -> None:
    (address,) = re.findall(r"http://localhost:8000(/shop.example/\S+)", str(sent.body))
    response = owner_client.get(address)
    assert response.context["question"].period.label == "16 Nov 2026 – 22 Nov 2026"


def test_a_report_of_nothing_is_still_sent(site: Site) -> None:
    report_of(site, "month")
    send_reports(MONDAY)
    (found,) = mail.outbox
    assert found.subject == "shop.example: October 2026"
    assert "compared with September 2026" in str(found.body)
    assert "Visitors: 0" in str(found.body)
    assert "Top pages" not in str(found.body)


def test_a_mail_program_s_own_button_ends_the_report_without_a_cookie(sent: EmailMessage) -> None:
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<http://localhost:8000(/unsubscribe/\S+)>", sent.extra_headers["List-Unsubscribe"])
    assert found
    client = Client(enforce_csrf_checks=True)
    response = client.post(found[1], "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert not EmailReport.objects.exists()
    assert not response.cookies


def test_opening_the_link_asks_and_ends_nothing_by_itself(site: Site) -> None:
    report = report_of(site)
    other = report_of(site, "month")
    address = f"/unsubscribe/{UNSUBSCRIBING.sign(str(report.pk))}/"
    client = Client(enforce_csrf_checks=True)
    page = client.get(address)
    assert "reader@example.com is sent the figures of shop.example" in page.content.decode()
    assert page["Referrer-Policy"] == "strict-origin"
    assert EmailReport.objects.count() == 2
    assert "You are sent this report no more." in client.post(address).content.decode()
    assert EmailReport.objects.get() == other
    assert "You are sent this report no more." in client.get(address).content.decode()


@pytest.mark.parametrize("token", ["1", "1:x", "x", "1:" + "A" * 43])
def test_a_token_that_is_not_signed_ends_nothing(client: Client, site: Site, token: str) -> None:
    report = report_of(site)
    response = client.post(f"/unsubscribe/{token.replace('1', str(report.pk), 1)}/")
    assert "reader@" not in response.content.decode()
    assert EmailReport.objects.get() == report


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 404), (Role.EDITOR, 404), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_reports_are_for_admins_of_the_site(owner_client: Client, owner: User, role: Role, status: int) -> None:
    MembershipFactory(site__domain="other.example", user=owner, role=role)
    page = "/other.example/settings/reports/"
    assert owner_client.get(page).status_code == status
    posted = owner_client.post(page, {"email": "a@example.com", "every": "week"}, follow=True)
    assert (posted.status_code, EmailReport.objects.count()) == (status, int(status == 200))


def test_a_report_is_added_and_removed(owner_client: Client, site: Site) -> None:
    assert "Nobody is sent a report." in owner_client.get(PAGE).content.decode()
    page = owner_client.post(PAGE, {"email": "Boss@Example.com", "every": "month"}, follow=True).content.decode()
    assert "Every month, on the first" in page
    report = EmailReport.objects.get()
    assert report.email == "boss@example.com"
    other = report_of(SiteFactory())
    assert owner_client.post(f"{PAGE}{other.pk}/remove/").status_code == 404
    assert owner_client.post(f"{PAGE}{report.pk}/remove/").status_code == 302
    assert EmailReport.objects.get() == other


@pytest.mark.parametrize(
    ("told", "mistake"),
    [
        pytest.param({"email": "boss"}, "Enter a valid email address.", id="no address"),
        pytest.param({"email": "a@example.com\nBcc: b@example.com"}, "Enter a valid email address.", id="a header"),
        pytest.param({"every": "hour"}, "Select a valid choice.", id="another time"),
        pytest.param({"email": "READER@example.com"}, "This address is sent this report already.", id="twice"),
    ],
)
def test_a_mistake_in_a_report_is_shown(owner_client: Client, site: Site, told: dict[str, str], mistake: str) -> None:
    report_of(site)
    response = owner_client.post(PAGE, {"email": "new@example.com", "every": "week"} | told)
    assert response.status_code == 200
    assert mistake in response.content.decode()
    assert EmailReport.objects.count() == 1


def test_the_page_says_when_there_is_no_mail_server(owner_client: Client, site: Site, settings: Any) -> None:
    assert "EMAIL_URL" not in owner_client.get(PAGE).content.decode()
    settings.HAS_MAIL_SERVER = False
    assert "EMAIL_URL" in owner_client.get(PAGE).content.decode()
