"""The way from the script tag to the first payment that is credited to a visit, step by step."""

from dataclasses import dataclass

from django.db.models import Q

from revenue.attribution import VIEW_ID
from revenue.models import Attribution, Charge, CheckoutSession, Connection, LedgerLine
from revenue.models.ledger import Kind
from sites.models import Site
from tracking.models import RefusedHits, View

# Whether the checkout passes the id on shows in the newest ones.
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """`hint` is what to do until it is done."""

    title: str
    hint: str
    is_done: bool


def steps(site: Site) -> list[Step]:
    accounts = list(Connection.objects.filter(site=site).values_list("account", flat=True))
    has_view = View.objects.filter(site=site).exists()
    has_hit = has_view or RefusedHits.objects.filter(site=site).exists()
    has_credit = Attribution.objects.filter(site=site, reason="").exists()
    return [
        Step("The script was seen", f"Put the script tag into the head of every page of {site.domain}.", has_hit),
        Step("A page view was counted", "Open a page of the site with your own browser, without a blocker.", has_view),
        Step("Stripe is connected", "Enter a key above.", bool(accounts)),
        Step(
            "A checkout carries the view id",
            "Pass the id on as one of the ways below does, and begin a checkout.",
            has_credit or _is_carried(accounts),
        ),
        Step(
            "A payment was seen",
            "Pay, in Stripe’s test mode with the card 4242 4242 4242 4242. It shows up within minutes.",
            LedgerLine.objects.filter(account__in=accounts, kind=Kind.CHARGE).exists(),
        ),
        Step("A payment is credited to a visit", "Its visit is found with the next reading of Stripe.", has_credit),
    ]


def _is_carried(accounts: list[int]) -> bool:
    whole = f"^{VIEW_ID.pattern}$"
    carriers = {
        CheckoutSession: Q(view_id__iregex=whole) | Q(client_reference_id__iregex=whole),
        Charge: Q(view_id__iregex=whole) | Q(customer_view_id__iregex=whole),
    }
    for model, carries in carriers.items():
        of_accounts = model._base_manager.filter(account__in=accounts)
        newest = of_accounts.order_by("-created_at")[:LOOKED_AT]
        if of_accounts.filter(carries, pk__in=newest.values("pk")).exists():
            return True
    return False
