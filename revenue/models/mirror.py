"""What Stripe said, field by field, from an allow-list: ids, amounts, states and times.

Never a name, an e-mail address, a postal address or a card: what is not kept cannot leak.
`observed_at` is the Date of Stripe's answer; a row is only ever replaced by one observed later.
"""

from typing import ClassVar

from django.db import models

from revenue.models.accounts import StripeAccount


class Mirrored(models.Model):
    # Fields whose first known value stays, whatever Stripe shows later; None is not known.
    lasting: ClassVar[tuple[str, ...]] = ()

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="+", db_index=False)
    stripe_id = models.CharField("Stripe id", max_length=255)
    created_at = models.DateTimeField()
    observed_at = models.DateTimeField()

    class Meta:
        abstract = True
        constraints = [
            models.UniqueConstraint(fields=["account", "stripe_id"], name="one_%(class)s_per_account_and_id")
        ]
        indexes = [models.Index(fields=["account", "created_at"], name="%(class)s_by_time")]

    def __str__(self) -> str:
        return self.stripe_id


class CheckoutSession(Mirrored):
    mode = models.CharField(max_length=32)
    status = models.CharField(max_length=32)
    payment_status = models.CharField(max_length=32)
    currency = models.CharField(max_length=3)
    amount_total = models.BigIntegerField(null=True)
    payment_intent = models.CharField(max_length=255)
    subscription = models.CharField(max_length=255)
    recovered_from = models.CharField(max_length=255, default="", help_text="The expired session it is in place of.")
    expires_at = models.DateTimeField(null=True)
    view_id = models.CharField("humblytics_view_id", max_length=500)
    client_reference_id = models.CharField(max_length=500)

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "payment_intent"], name="checkoutsession_by_intent"),
            models.Index(fields=["account", "subscription"], name="checkoutsession_by_subscr"),
        ]


class Charge(Mirrored):
    status = models.CharField(max_length=32)
    captured = models.BooleanField()
    amount = models.BigIntegerField()
    amount_captured = models.BigIntegerField()
    amount_refunded = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    payment_intent = models.CharField(max_length=255)
    balance_transaction = models.CharField(max_length=255)
    failure_balance_transaction = models.CharField(max_length=255)
    view_id = models.CharField("humblytics_view_id", max_length=500)
    # A customer's metadata outlives the payment, so only its first reading says what the payment was begun with.
    customer_view_id = models.CharField(  # noqa: DJ001  # Nothing was carried is not the same as nobody could look.
        "humblytics_view_id of the customer",
        max_length=500,
        null=True,
        help_text="As it was when the customer was first seen with the payment; null where Stripe did not show him.",
    )

    lasting = ("customer_view_id",)

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "payment_intent"], name="charge_by_intent"),
        ]


class Refund(Mirrored):
    charge = models.CharField(max_length=255)
    status = models.CharField(max_length=32)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    balance_transaction = models.CharField(max_length=255)
    failure_balance_transaction = models.CharField(max_length=255)

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "charge"], name="refund_by_charge"),
        ]


class Dispute(Mirrored):
    charge = models.CharField(max_length=255)
    status = models.CharField(max_length=32)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "charge"], name="dispute_by_charge"),
        ]


class InvoicePayment(Mirrored):
    """How an invoice was paid, or a part of it: this leads from a renewal to its subscription."""

    status = models.CharField(max_length=32)
    amount_paid = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3)
    invoice = models.CharField(max_length=255)
    type = models.CharField(max_length=32, help_text="A payment_record is money that never came to Stripe.")
    payment_intent = models.CharField(max_length=255)
    subscription = models.CharField(max_length=255)
    invoice_view_id = models.CharField("humblytics_view_id of the invoice", max_length=500)
    subscription_view_id = models.CharField("humblytics_view_id of the subscription", max_length=500)

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "payment_intent"], name="invoicepayment_by_intent"),
            models.Index(fields=["account", "subscription"], name="invoicepayment_by_subscr"),
        ]


class BalanceTransaction(Mirrored):
    type = models.CharField(max_length=64)
    reporting_category = models.CharField(max_length=64)
    source = models.CharField(max_length=255)
    charge = models.CharField(max_length=255, help_text="The charge this moves money for, if any.")
    amount = models.BigIntegerField(help_text="In the currency the account settles in.")
    fee = models.BigIntegerField()
    net = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    balance_type = models.CharField(
        max_length=64, default="payments", help_text="Which of Stripe's balances it changed."
    )

    class Meta(Mirrored.Meta):
        indexes = [
            *Mirrored.Meta.indexes,
            models.Index(fields=["account", "source"], name="balancetransaction_by_source"),
            models.Index(fields=["account", "charge"], name="balancetransaction_by_charge"),
        ]
