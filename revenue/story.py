"""All that is known of one payment: what moved, which visit it is credited to, and what the buyer had looked at."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q

from revenue.attribution import Evidence, Model, Reason
from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Dispute,
    InvoicePayment,
    LedgerLine,
    Refund,
    StripeAccount,
)
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.models.ledger import GROSS, SALES, Kind
from sites.models import Site
from tracking.models import View

# Of a buyer's day; nobody reads more.
MOST_VIEWS = 100


class NoSuchPaymentError(Exception):
    """The site has no payment of that id: there is none, or it is another site's."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of the ledger with the movement on Stripe's balance that proves it, if there is one."""

    line: LedgerLine
    transaction: BalanceTransaction | None


@dataclass(frozen=True, slots=True)
class Credit:
    """What one model credits the payment to: a visit's source, or a reason why nothing."""

    model: Model
    decision: Attribution | None

    @property
    def reason(self) -> Reason | None:
        if self.decision is None:
            return Reason.WAITING
        return Reason(self.decision.reason) if self.decision.reason else None

    @property
    def evidence(self) -> Evidence | None:
        return Evidence(self.decision.evidence) if self.decision and self.decision.evidence else None


@dataclass(frozen=True, slots=True)
class Story:
    """`views` are those of the buyer's day up to the purchase, unless they have been deleted for their age.

    `net` is what the payment has earned until now, in minor units of `currency`, before fees.
    """

    charge: str
    account: StripeAccount
    currency: str
    gross: int
    net: int
    occurred_at: dt.datetime
    status: str
    credits: tuple[Credit, ...]
    views: tuple[View, ...]
    sessions: tuple[CheckoutSession, ...]
    bills: tuple[InvoicePayment, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]
    movements: tuple[Movement, ...]

    def credit(self, model: Model) -> Credit:
        return next(each for each in self.credits if each.model is model)

    @property
    def stripe_url(self) -> str:
        """Where Stripe shows the payment to its merchant; "" for one that a sandbox made up."""
        if settings.STRIPE_IS_SANDBOX:
            return ""
        return f"https://dashboard.stripe.com/{'' if self.account.livemode else 'test/'}payments/{self.charge}"


def tell(site: Site, charge: str, model: Model) -> Story:
    """Gather what is known of a payment, with the visit that the model credits. Raise NoSuchPaymentError."""
    accounts = StripeAccount.objects.raw(
        f"SELECT * FROM revenue_stripeaccount WHERE id IN ({COUNTED_ACCOUNTS})", {"site": site.pk}
    )
    lines = list(
        LedgerLine.objects.filter(account__in=[account.pk for account in accounts], charge=charge)
        .select_related("account")
        .order_by("occurred_at", "pk")
    )
    paid = next((line for line in lines if line.kind == Kind.CHARGE), None)
    if paid is None:
        raise NoSuchPaymentError
    account = paid.account
    decisions = {row.model: row for row in Attribution.objects.filter(account=account, charge=charge)}
    if any(row.site_id not in (None, site.pk) for row in decisions.values()):
        raise NoSuchPaymentError
    of_charge = Charge.objects.filter(account=account, stripe_id=charge).first()
    intent = of_charge.payment_intent if of_charge else ""
    bills = list(InvoicePayment.objects.filter(account=account, payment_intent=intent)) if intent else []
    begun = Q(payment_intent=intent) | Q(subscription__in={bill.subscription for bill in bills} - {""})
    sessions = CheckoutSession.objects.filter(begun, account=account).order_by("created_at") if intent else []
    money = [line for line in lines if line.currency == paid.currency]
    return Story(
        charge=charge,
        account=account,
        currency=paid.currency,
        gross=sum(line.amount for line in money if line.kind in GROSS),
        net=sum(line.amount for line in money if line.kind in SALES),
        occurred_at=paid.occurred_at,
        status=of_charge.status if of_charge else "",
        credits=tuple(Credit(each, decisions.get(each.value)) for each in Model),
        views=tuple(_seen(site, decisions.get(model.value))),
        sessions=tuple(sessions),
        bills=tuple(bills),
        refunds=tuple(Refund.objects.filter(account=account, charge=charge).order_by("created_at")),
        disputes=tuple(Dispute.objects.filter(account=account, charge=charge).order_by("created_at")),
        movements=_movements(account, lines),
    )


def _seen(site: Site, decision: Attribution | None) -> list[View]:
    if decision is None or decision.visitor is None or decision.viewed_at is None:
        return []
    # A visitor is only known by the same name within a day.
    since = decision.viewed_at - dt.timedelta(days=1)
    views = View.objects.for_site(site).filter(visitor=decision.visitor, at__gt=since, at__lte=decision.viewed_at)
    return list(views.order_by("at")[:MOST_VIEWS])


def _movements(account: StripeAccount, lines: Sequence[LedgerLine]) -> tuple[Movement, ...]:
    ids = {line.balance_transaction for line in lines} - {""}
    known = {row.stripe_id: row for row in BalanceTransaction.objects.filter(account=account, stripe_id__in=ids)}
    return tuple(Movement(line, known.get(line.balance_transaction)) for line in lines)
