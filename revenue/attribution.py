"""Which visit a payment is credited to: one decision from what is known, or one reason why there is none.

The checkout carries the id of the page view it was begun on. From that view the visitor's visits of the same day
are known, because a visitor is only recognized within a day; a model chooses the one to credit among them.
"""

import datetime as dt
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tracking.sources import Channel

# Stored with each decision. Raise it when a rule here decides otherwise: older decisions are then made again.
RULES_VERSION = 3
# How much older than the checkout a view may be, unless its site says otherwise.
WINDOW = dt.timedelta(days=30)
PATIENCE = dt.timedelta(hours=1)
# Of an id that a page's script made, how much earlier or later than the checkout its own time may say it was.
CLOCK_OFF = dt.timedelta(days=1)
# How far this machine's clock, which times the views, and Stripe's, which times the checkouts, may be apart.
CLOCKS_APART = dt.timedelta(minutes=5)
VIEW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class Model(StrEnum):
    """Which of the day's visits is credited."""

    LAST_NON_DIRECT = "last_non_direct"
    LAST = "last"
    FIRST = "first"


class Evidence(StrEnum):
    """What carried the view id: the first in this order that carries one is believed."""

    CHARGE = "charge_metadata"
    INVOICE = "invoice_metadata"
    SUBSCRIPTION = "subscription_metadata"
    SESSION = "session_metadata"
    CUSTOMER = "customer_metadata"
    REFERENCE = "client_reference_id"

    @property
    def words(self) -> str:
        return CARRIERS[self]


CARRIERS = {
    Evidence.CHARGE: "Metadata of the payment",
    Evidence.INVOICE: "Metadata of the invoice",
    Evidence.SUBSCRIPTION: "Metadata of the subscription",
    Evidence.SESSION: "Metadata of the session",
    Evidence.CUSTOMER: "Metadata of the customer",
    Evidence.REFERENCE: "Client reference of the session",
}


class Reason(StrEnum):
    """Why a payment is credited to no visit."""

    NO_ID = "no_id"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    BLOCKED = "tracker_blocked"
    BOT = "bot"
    WAITING = "waiting"
    OTHER_SITE = "other_site"
    DELETED_SITE = "deleted_site"
    TOO_OLD = "too_old"
    TOO_LATE = "too_late"
    NO_SESSION = "no_session"
    RENEWAL = "renewal"

    @property
    def sentence(self) -> str:
        return EXPLAINED[self][0]

    @property
    def fix(self) -> str:
        return EXPLAINED[self][1]


EXPLAINED: dict[Reason, tuple[str, str]] = {
    Reason.NO_ID: (
        "The checkout carried no view id.",
        "Pass window.Humblytics.viewId to your server, and on to Stripe as the session's metadata humblytics_view_id.",
    ),
    Reason.MALFORMED: (
        "The checkout carried something that is not a view id.",
        "Pass window.Humblytics.viewId on as it is: 36 characters, not shortened and not put into other text.",
    ),
    Reason.UNKNOWN: (
        "The checkout names a page view that no site here has recorded.",
        "Pass on the id of the page where the customer begins to pay, not one of your own or of another day.",
    ),
    Reason.BLOCKED: (
        "The script made the id, and its page view never arrived.",
        "Serve the script and its address from your own domain, where content blockers let them through; and see in "
        "the site's tracking settings whether such hits are refused.",
    ),
    Reason.BOT: (
        "The page view was refused, because a program seemed to sit before the browser.",
        "Nothing, if it was a test of yours. If it was a customer's, the browser was mistaken for a bot.",
    ),
    Reason.WAITING: (
        "The page view that the checkout names has not arrived yet.",
        "Nothing to do: it is looked for again for an hour after the payment, and with each later sync.",
    ),
    Reason.OTHER_SITE: (
        "The page view belongs to a site that is not connected to this Stripe account.",
        "Connect that site to the account too, if its payments belong there.",
    ),
    Reason.DELETED_SITE: (
        "The page view belonged to a site that has been deleted.",
        "Nothing: what was counted for that site is deleted too, and cannot be brought back.",
    ),
    Reason.TOO_OLD: (
        "The page view is older than the site's attribution window lets it be.",
        "Create the Checkout Session when the customer begins to pay, with the view id of that page, or let the "
        "window be longer.",
    ),
    Reason.TOO_LATE: (
        "The customer’s metadata names a page view that came after the payment was begun.",
        "Pass the view id on as the session’s metadata too: a Customer has only the id of the last purchase.",
    ),
    Reason.NO_SESSION: (
        "The payment was made without a Checkout Session and carries no view id.",
        "Set metadata humblytics_view_id on the PaymentIntent, if the payment came from your web site.",
    ),
    Reason.RENEWAL: (
        "A subscription was renewed, and the site credits first payments only.",
        "Nothing. To credit renewals to the visit of the first payment, change it in the site's revenue settings.",
    ),
}


@dataclass(frozen=True, slots=True)
class SeenView:
    """The page view that the checkout was begun on."""

    site: int
    id: uuid.UUID
    visit_id: uuid.UUID
    visitor: uuid.UUID
    at: dt.datetime
    path: str
    variants: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SeenVisit:
    """A visit of the buyer's day."""

    id: uuid.UUID
    started_at: dt.datetime
    landing_page: str
    channel: str
    source: str
    referrer: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    country: str
    region: str
    city: str
    browser: str
    os: str
    device: str
    variants: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """What the payment's objects carried: `view_id` is None when nothing, or nothing legible, was."""

    evidence: Evidence | None
    text: str
    view_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Decision:
    """With a `reason`, `view` and `visit` are None; without one, both are there."""

    carried: Carried
    reason: Reason | None
    view: SeenView | None = None
    visit: SeenVisit | None = None
    variants: tuple[int, ...] = ()


def carried(carriers: Iterable[tuple[Evidence, str]]) -> Carried:
    """Choose the first view id among what was carried, given in the order of trust.

    A client reference that is no view id is the merchant's own, and nothing was carried.
    """
    illegible: Carried | None = None
    for evidence, value in carriers:
        text = value.strip()
        if VIEW_ID.fullmatch(text):
            return Carried(evidence, text, uuid.UUID(text))
        if text and evidence is not Evidence.REFERENCE and not illegible:
            illegible = Carried(evidence, value, None)
    return illegible or Carried(None, "", None)


def decide(
    found: Carried,
    *,
    has_session: bool,
    view: SeenView | None,
    visits: Sequence[SeenVisit],
    sites: frozenset[int],
    paid_at: dt.datetime,
    begun_at: dt.datetime,
    now: dt.datetime,
    model: Model,
    window: dt.timedelta = WINDOW,
    is_bot: bool = False,
) -> Decision:
    """Credit one of the `visits` of the view's visitor, or say why none.

    `sites` are those connected to the payment's account; `begun_at` is when its checkout, or that of its
    subscription, was opened; `window` is that of the view's site; `is_bot` says that the view was refused as a
    program's.
    """
    if found.view_id is None:
        nothing = Reason.NO_ID if has_session else Reason.NO_SESSION
        return Decision(found, Reason.MALFORMED if found.text else nothing)
    credited = _credited(view, visits, model) if view else None
    if view is None or credited is None:
        return Decision(found, _unseen(found.view_id, begun_at, now - paid_at, is_bot))
    if view.site not in sites:
        return Decision(found, Reason.OTHER_SITE)
    if begun_at - view.at > window:
        return Decision(found, Reason.TOO_OLD)
    # All others are of the one purchase. A customer's is overwritten by the next one.
    if found.evidence is Evidence.CUSTOMER and view.at - begun_at > CLOCKS_APART:
        return Decision(found, Reason.TOO_LATE)
    shown = {variant for visit in _up_to(view, visits) for variant in visit.variants} | set(view.variants)
    return Decision(found, None, view, credited, tuple(sorted(shown)))


def _unseen(view_id: uuid.UUID, begun_at: dt.datetime, since_paid: dt.timedelta, is_bot: bool) -> Reason:
    if is_bot:
        return Reason.BOT
    if since_paid < PATIENCE:
        return Reason.WAITING
    return Reason.BLOCKED if _is_of_a_page(view_id, begun_at) else Reason.UNKNOWN


def _is_of_a_page(view_id: uuid.UUID, begun_at: dt.datetime) -> bool:
    """Tell if a page's script made the id about then: it has the script's form, and its time says so."""
    # The first 48 bits are milliseconds, by the visitor's clock.
    age = begun_at.timestamp() - (view_id.int >> 80) / 1000
    is_formed = view_id.hex[12] == "7" and view_id.hex[16] == "8"
    return is_formed and -CLOCK_OFF.total_seconds() <= age <= (WINDOW + CLOCK_OFF).total_seconds()


def _up_to(view: SeenView, visits: Iterable[SeenVisit]) -> list[SeenVisit]:
    """The visits that had begun when the purchase's page was seen, the earliest first."""
    return sorted((visit for visit in visits if visit.started_at <= view.at), key=lambda visit: visit.started_at)


def _credited(view: SeenView, visits: Sequence[SeenVisit], model: Model) -> SeenVisit | None:
    purchase = next((visit for visit in visits if visit.id == view.visit_id), None)
    if purchase is None or model is Model.LAST:
        return purchase
    candidates = _up_to(view, visits)
    if model is Model.FIRST:
        return next(iter(candidates), purchase)
    sourced = (visit for visit in reversed(candidates) if visit.channel != Channel.DIRECT)
    return next(sourced, purchase)
