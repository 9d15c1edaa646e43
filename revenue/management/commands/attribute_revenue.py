import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from revenue.attribution import Model
from revenue.crediting import Change, credit_anew
from revenue.models import Attribution, Charge, StripeAccount
from revenue.money import format_money
from sites.models import Site

DIFFERS = 3

# Of a payment: the model, what it was credited to, what it is now, and the currency.
Kind = tuple[str, str, str, str]


class Command(BaseCommand):
    help = (
        "Decide again which visit each payment is credited to, by the rules of now, and print what differs. Neither "
        "Stripe nor a worker is needed. Exit status: 0 done, 1 failed, 2 wrong usage, 3 something would differ."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", choices=list(Model), help="Only under this model; otherwise under each.")
        parser.add_argument("--dry-run", action="store_true", help="Change nothing.")
        parser.add_argument("--json", action="store_true", help="Write JSON, with amounts in minor units.")

    def handle(self, *args: Any, model: str | None, dry_run: bool, json: bool, **options: Any) -> None:
        chosen = [Model(model)] if model else list(Model)
        accounts = []
        for account in StripeAccount.objects.order_by("acct_id", "livemode"):
            with transaction.atomic():
                changes = list(credit_anew(account, timezone.now(), chosen))
                accounts.append(
                    {"account": account.acct_id, "mode": account.mode, "changes": _summed(account, changes)}
                )
                # A later payment may inherit an earlier one's decision, so they are made all the same, and undone.
                transaction.set_rollback(dry_run)
        if json:
            self._write_json(accounts, dry_run)
        else:
            self._write_text(accounts, dry_run)
        if dry_run and any(each["changes"] for each in accounts):
            sys.exit(DIFFERS)

    def _write_json(self, accounts: list[dict[str, Any]], dry_run: bool) -> None:
        self.stdout.write(json.dumps({"dry_run": dry_run, "accounts": accounts}, indent=2))

    def _write_text(self, accounts: list[dict[str, Any]], dry_run: bool) -> None:
        for account in accounts:
            said = "would differ" if dry_run else "differ now"
            payments = sum(change["payments"] for change in account["changes"])
            self.stdout.write(f"{account['account']} ({account['mode']}): {payments} decisions {said}.")
            for change in account["changes"]:
                amount = format_money(change["gross"], change["currency"])
                decision = f"{change['model']}: {change['before']} -> {change['after']}"
                self.stdout.write(f"  {decision}: {change['payments']} payments, {amount}")


def _summed(account: StripeAccount, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Sum up what differs in the same way, the most frequent first."""
    ids = {change.after.charge for change in changes}
    paid = {charge.stripe_id: charge for charge in Charge.objects.filter(account=account, stripe_id__in=ids)}
    domains = dict(Site.objects.values_list("pk", "domain"))
    payments: Counter[Kind] = Counter()
    gross: Counter[Kind] = Counter()
    for change in changes:
        charge = paid[change.after.charge]
        kind = change.after.model, _credited(change.before, domains), _credited(change.after, domains), charge.currency
        payments[kind] += 1
        gross[kind] += charge.amount_captured
    return [
        {
            **dict(zip(("model", "before", "after", "currency"), kind, strict=True)),
            "payments": number,
            "gross": gross[kind],
        }
        for kind, number in payments.most_common()
    ]


def _credited(decision: Attribution | None, domains: Mapping[int, str]) -> str:
    """Say what a payment is credited to: its reason if to nothing."""
    if decision is None:
        return "undecided"
    if decision.reason:
        return decision.reason
    source = f"{decision.channel} / {decision.source}" if decision.source else decision.channel
    # The site may have been deleted since.
    return f"{source} ({domains[decision.site_id] if decision.site_id else None})"
