from django.db import models

from revenue.models.accounts import StripeAccount


class Kind(models.TextChoices):
    CHARGE = "charge", "Payment"
    CAPTURE = "capture", "Further or lesser capture"
    REFUND = "refund", "Refund"
    REFUND_FAILURE = "refund_failure", "Refund that failed"
    DISPUTE = "dispute", "Dispute"
    PAYMENT_FAILURE = "payment_failure", "Payment that failed later"
    PENDING = "pending", "Debit that nobody has paid"
    FEE = "fee", "Stripe's fee"


# What was sold, what sales changed by, and what is beside them.
GROSS = (Kind.CHARGE, Kind.CAPTURE)
SALES = (*GROSS, Kind.REFUND, Kind.REFUND_FAILURE, Kind.DISPUTE, Kind.PAYMENT_FAILURE)


class Line(models.Model):
    """`amount` is signed, in minor units of `currency`: a payment is positive, a refund negative, a fee negative."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=300)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    occurred_at = models.DateTimeField()
    charge = models.CharField(max_length=255, help_text="The payment this belongs to; empty for a refund without one.")
    balance_transaction = models.CharField(max_length=255, help_text="The movement on Stripe's balance that proves it.")
    booked_at = models.DateTimeField(
        null=True, help_text="When Stripe told it so; empty for what was booked before that was kept."
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.key


class LedgerLine(Line):
    """One movement of money, keyed by the fact it stands for: set, never added to."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="one_ledger_line_per_fact")]
        indexes = [
            models.Index(fields=["account", "charge"], name="ledger_line_by_charge"),
            models.Index(fields=["account", "occurred_at"], name="ledger_line_by_time"),
            models.Index(fields=["account", "balance_transaction"], name="ledger_line_by_movement"),
        ]


class FormerLine(Line):
    """What a line said until it was set to something else, or taken back. Only ever added to."""

    replaced_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["account", "charge"], name="former_line_by_charge"),
            models.Index(fields=["account", "occurred_at"], name="former_line_by_time"),
        ]
