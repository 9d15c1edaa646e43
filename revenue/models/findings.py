import datetime as dt
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from revenue.models.accounts import StripeAccount

# How long it is told of what is in order again.
TOLD_FOR = dt.timedelta(days=7)


class FindingKind(models.TextChoices):
    HEALED = "healed", "Stripe had it, and it was missing or outdated here"
    UNMATCHED = "unmatched", "A movement on Stripe’s balance that no line of the ledger names"
    UNPROVED = "unproved", "A line of the ledger without a movement on Stripe’s balance"
    DOUBLED = "doubled", "A movement that several lines of the ledger name"
    UNEQUAL = "unequal", "A line of the ledger that is not what moved"
    CAPTURED = "captured", "A payment whose lines are not what was captured"
    REFUNDED = "refunded", "A payment whose refunds are not what was refunded"
    BALANCE = "balance", "All movements are not Stripe’s balance"
    SHARED_VIEW = "shared_view", "A page view that pays again and again"


class Findings(models.QuerySet["Finding"]):
    def current(self, account: StripeAccount, now: dt.datetime) -> Self:
        """What is not in order, and what was not within the last days; the newest first."""
        is_recent = Q(gone_at=None) | Q(found_at__gt=now - TOLD_FOR)
        return self.filter(is_recent, account=account).order_by("-found_at", "pk")


class Finding(models.Model):
    """Something about an account's money that was not as it should be: each is worth a look."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="findings", db_index=False)
    kind = models.CharField(max_length=20, choices=FindingKind.choices)
    subject = models.CharField(max_length=300, help_text="The object, line or sum it is about.")
    detail = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, help_text="When it was in order again.")

    objects: ClassVar[Findings] = Findings.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["account", "found_at"], name="finding_by_time")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"
