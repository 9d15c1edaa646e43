"""Figures by e-mail: which reports are due, what they say, and that each is sent once.

A report about a week or month that has ended is due from six o'clock on the Monday or the first after it, in the
site's zone, until the next one is. What could not be sent is tried again by the next run.

A report is marked as sent and handed to the mail server in one transaction, under its row's lock: a second run finds
it locked or marked, and one that fails is not marked. Only if the process dies between the mail server's yes and the
commit is it sent again; both mails then have the same Message-ID, by which mailboxes know them as one.
"""

import datetime as dt
import logging
import smtplib
import zoneinfo
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from sites.periods import Period
from tracking import stats, tables
from tracking.figures import figures
from tracking.models import EmailReport
from tracking.places import credit
from tracking.questions import Question

log = logging.getLogger(__name__)

SEND_AT = dt.time(6)
ROWS = 5
TABLES = ("top-pages", "sources", "countries", "goals")
UNSUBSCRIBING = signing.Signer(salt="tracking.reports.unsubscribe")

Every = EmailReport.Every


def ended(every: str, day: dt.date, zone: zoneinfo.ZoneInfo) -> Period:
    """Give the last week, from Monday to Sunday, or month that had ended before `day`."""
    if every == Every.WEEK:
        last_on = day - dt.timedelta(days=day.weekday() + 1)
        return Period(last_on - dt.timedelta(days=6), last_on, zone)
    last_on = day.replace(day=1) - dt.timedelta(days=1)
    return Period(last_on.replace(day=1), last_on, zone)


def due(report: EmailReport, now: dt.datetime) -> Period | None:
    """Give what a report has to be sent about now; None if nothing.

    A week or month that ended before somebody asked for the report is not reported.
    """
    zone = report.site.zone
    local = now.astimezone(zone)
    period = ended(report.every, local.date(), zone)
    is_early = local.date() == period.last_on + dt.timedelta(days=1) and local.time() < SEND_AT
    is_sent = report.sent_through_on is not None and report.sent_through_on >= period.last_on
    return None if is_early or is_sent or report.created_at >= period.end_at else period


def send_reports(now: dt.datetime) -> None:
    """Send what is due. Without a mail server nothing is."""
    if not settings.HAS_MAIL_SERVER:
        return
    for report in EmailReport.objects.select_related("site"):
        if due(report, now):
            _try_to_send(report.pk, now)


def _try_to_send(number: int, now: dt.datetime) -> None:
    try:
        _send(number, now)
    except (smtplib.SMTPException, OSError) as error:
        # The error's own text may hold the address.
        log.warning("report %s was not sent and will be tried again: %s", number, type(error).__name__)


@transaction.atomic
def _send(number: int, now: dt.datetime) -> None:
    rows = EmailReport.objects.select_related("site").select_for_update(skip_locked=True, of=("self",))
    report = rows.filter(pk=number).first()
    period = due(report, now) if report else None
    if report and period:
        report.sent_through_on = period.last_on
        report.save(update_fields=["sent_through_on"])
        message(report, period, now).send()


def message(report: EmailReport, period: Period, now: dt.datetime) -> EmailMultiAlternatives:
    told = _told(report, period, now)
    unsubscribe = {
        "List-Unsubscribe": f"<{told['unsubscribe_url']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    host = urlsplit(settings.BASE_URL).hostname
    mail = EmailMultiAlternatives(
        f"{report.site.domain}: {told['title']}",
        render_to_string("tracking/report_mail.txt", told),
        to=[report.email],
        headers={
            "Message-ID": f"<report-{report.pk}-{period.last_on}@{host}>",
            "Auto-Submitted": "auto-generated",
            **unsubscribe,
        },
    )
    mail.attach_alternative(render_to_string("tracking/report_mail.html", told), "text/html")
    return mail


def _told(report: EmailReport, period: Period, now: dt.datetime) -> dict[str, Any]:
    question = Question(period)
    asked = stats.ask(report.site, period)
    # Months are compared by the calendar, so that each has its own length.
    before = ended(report.every, period.first_on, period.zone)
    return {
        "site": report.site,
        "title": _title(report.every, period),
        "before": "the week before" if report.every == Every.WEEK else _title(report.every, before),
        "figures": figures(stats.totals(asked, now, before)),
        "tables": [tables.table(name, question, asked, limit=ROWS, columns=1) for name in TABLES],
        "credit": credit(settings.GEOIP_PATH),
        "base_url": settings.BASE_URL,
        "dashboard_url": f"{_address('tracking:dashboard', report.site.domain)}?{question.query}",
        "unsubscribe_url": _address("tracking:unsubscribe", UNSUBSCRIBING.sign(str(report.pk))),
    }


def _title(every: str, period: Period) -> str:
    return f"{period.first_on:%B %Y}" if every == Every.MONTH else f"week from {period.label.replace(' – ', ' to ')}"


def _address(name: str, argument: str) -> str:
    return f"{settings.BASE_URL}{reverse(name, args=[argument])}"


def report_of(token: str) -> EmailReport | None:
    """Give the report that the token in its mails ends; None if the token is none, or the report has ended."""
    try:
        number = UNSUBSCRIBING.unsign(token)
    except signing.BadSignature:
        return None
    return EmailReport.objects.select_related("site").filter(pk=number).first()
