"""Mail to a site's owners and administrators when something goes wrong: once for each incident.

An incident is a row: it is opened, and its mails handed to the mail server, in one transaction, so that what nobody
was told is tried again by the next run. It ends when what it is about is in order again; only then can there be
another of its kind.
"""

import datetime as dt
import logging
import smtplib
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from revenue.coverage import before_and_lately, coverages, has_dropped
from revenue.facts import reading
from revenue.health import KEY_TROUBLE, is_stopped
from revenue.models import Connection, Finding, Incident, Setup
from revenue.models.findings import FindingKind
from revenue.models.incidents import IncidentKind
from revenue.stats import connections
from sites import about
from sites.models import Role, Site

log = logging.getLogger(__name__)

# Objects that are put right within so long of each other are one incident.
HEALING = dt.timedelta(days=1)
MOST_NAMED = 10


class NobodyToldError(Exception):
    """The mail server took none of the mails about an incident."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong now, in lines, and what to do."""

    lines: tuple[str, ...]
    fix: str


def send_alerts(now: dt.datetime) -> None:
    """Tell what has gone wrong on each site that wants to know, and end what is in order again.

    Without a mail server nothing is told, and nothing counts as told.
    """
    if not settings.HAS_MAIL_SERVER:
        return
    silent = Setup.objects.filter(sends_alerts=False).values("site")
    for site in Site.objects.filter(stripe_connections__isnull=False).exclude(pk__in=silent).distinct():
        about.note(site=site.domain)
        found = troubles(site, now)
        Incident.objects.filter(site=site, ended_at=None).exclude(kind__in=found).update(ended_at=now)
        for kind, trouble in found.items():
            _tell(site, kind, trouble, now)


def _tell(site: Site, kind: IncidentKind, trouble: Trouble, now: dt.datetime) -> None:
    try:
        with transaction.atomic():
            # A second run waits here for the first, and then finds its incident.
            incident, is_new = Incident.objects.get_or_create(
                site=site, kind=kind, ended_at=None, defaults={"opened_at": now}
            )
            if is_new:
                _send(incident, trouble)
    except NobodyToldError:
        log.warning("%s: nobody was told that %s; it will be tried again", site, kind.label)


def _send(incident: Incident, trouble: Trouble) -> None:
    """Tell everybody. Raise NobodyToldError when not even one mail was taken: who was told is not told again."""
    mails = _mails(incident, trouble)
    told = [mail for mail in mails if _is_taken(mail)]
    if mails and not told:
        raise NobodyToldError


def _is_taken(mail: EmailMessage) -> bool:
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        # The error's own text may hold the address.
        log.warning("an alert was not taken by the mail server: %s", type(error).__name__)
        return False
    return True


def _mails(incident: Incident, trouble: Trouble) -> list[EmailMessage]:
    """One for each owner and administrator, so that none learns another's address from it."""
    site, kind = incident.site, IncidentKind(incident.kind)
    page = f"{settings.BASE_URL}{reverse('revenue:settings', args=[site.domain])}"
    text = render_to_string("revenue/alert_mail.txt", {"site": site, "kind": kind, "trouble": trouble, "page": page})
    # The same when it is tried again, by which mailboxes know it as one.
    number = Incident.objects.filter(site=site, kind=kind).count()
    host = urlsplit(settings.BASE_URL).hostname
    return [
        EmailMessage(
            f"{site.domain}: {kind.label}",
            text,
            to=[member.user.email],
            headers={
                "Message-ID": f"<alert-{site.pk}-{kind}-{number}-{member.user_id}@{host}>",
                "Auto-Submitted": "auto-generated",
            },
        )
        for member in site.memberships.filter(role__gte=Role.ADMIN, user__is_active=True).select_related("user")
    ]


def troubles(site: Site, now: dt.datetime) -> dict[IncidentKind, Trouble]:
    """Find what is wrong with a site's revenue now."""
    connected = connections(site)
    found = {
        IncidentKind.STOPPED: _stopped(connected, now),
        IncidentKind.COVERAGE: _dropped(site, now),
        IncidentKind.HEALED: _healed(connected, now),
        IncidentKind.UNSETTLED: _unsettled(connected),
    }
    return {kind: trouble for kind, trouble in found.items() if trouble}


def _stopped(connected: list[Connection], now: dt.datetime) -> Trouble | None:
    lines, fixes = [], []
    for each in connected:
        if not is_stopped(reading(each, now), now):
            continue
        since = f"{each.synced_at:%-d %B %Y, %H:%M} UTC" if each.synced_at else "it was connected"
        _, sentence, fix = KEY_TROUBLE.get(each.status, ("", each.problem or "No worker reads it.", ""))
        lines.append(f"{each.account}: not read since {since}. {sentence}")
        fixes.append(fix or "The health check in the site’s revenue settings says what to do.")
    return Trouble(tuple(lines), " ".join(dict.fromkeys(fixes))) if lines else None


def _dropped(site: Site, now: dt.datetime) -> Trouble | None:
    known = Incident.objects.filter(site=site, kind=IncidentKind.COVERAGE, ended_at=None).first()
    # What is low for weeks would seem usual: while it lasts it is compared with the time before it began.
    usual, _ = before_and_lately(known.opened_at if known else now)
    before, lately = coverages(site, [usual, before_and_lately(now)[1]])
    if not has_dropped(before, lately):
        return None
    credited, paid = sum(week.attributed for week in lately), sum(week.total for week in lately)
    share = sum(week.attributed for week in before) / sum(week.total for week in before)
    return Trouble(
        (f"Of the {paid} payments of the last 7 days, {credited} are credited to a visit. Before, {share:.0%} were.",),
        "See what has changed in the checkout. The Revenue page says for each payment why no visit is credited.",
    )


def _healed(connected: list[Connection], now: dt.datetime) -> Trouble | None:
    accounts = [each.account_id for each in connected]
    # An object that had been missed, or something that was in order as soon as it was read again.
    found = Finding.objects.filter(account__in=accounts, found_at__gt=now - HEALING, gone_at__isnull=False)
    mended = [each for each in found.order_by("-found_at", "pk") if each.gone_at == each.found_at]
    if not mended:
        return None
    more = [f"and {len(mended) - MOST_NAMED} more"] if len(mended) > MOST_NAMED else []
    return Trouble(
        (*(f"{each.get_kind_display()}: {each.subject}" for each in mended[:MOST_NAMED]), *more),
        "Nothing: the figures are right again. If it happens more often, tell the makers of Humblytics: some rule of "
        "the sync, or something at Stripe, is not as thought.",
    )


def _unsettled(connected: list[Connection]) -> Trouble | None:
    accounts = [each.account_id for each in connected]
    found = Finding.objects.filter(account__in=accounts, gone_at=None).exclude(kind=FindingKind.SHARED_VIEW)
    if not found:
        return None
    return Trouble(
        tuple(f"{each.get_kind_display()}: {each.subject} {each.detail}".strip() for each in found[:MOST_NAMED]),
        "Run manage.py sync_revenue --verify, which reads what is wrong once more.",
    )
