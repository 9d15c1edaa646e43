from django.contrib.postgres.fields import ArrayField
from django.db import models

from revenue.models.accounts import StripeAccount
from sites.models import Site


class Decision(models.Model):
    """Which visit a payment is credited to under one model, and how that is known; or one reason why not.

    The visit's source and place are copied here, so that deleting old visits never changes revenue.
    """

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="+", db_index=False)
    charge = models.CharField(max_length=255)
    model = models.CharField(max_length=20)
    rules_version = models.PositiveSmallIntegerField()
    decided_at = models.DateTimeField()
    reason = models.CharField(max_length=20, blank=True, help_text="Why not attributed; empty when it is.")
    evidence = models.CharField(max_length=40, blank=True, help_text="The Stripe object that carried the view id.")
    is_renewal = models.BooleanField(default=False, help_text="The subscription had been paid for before.")
    # Of a site that is deleted, it is for `forgetting` to take this from its decisions.
    site = models.ForeignKey(
        Site, on_delete=models.SET_NULL, db_constraint=False, null=True, related_name="+", db_index=False
    )
    carried_id = models.CharField(max_length=500, blank=True, help_text="What was carried, as it came.")
    view_id = models.UUIDField(null=True)
    visit_id = models.UUIDField(null=True)
    visitor = models.UUIDField(null=True)
    viewed_at = models.DateTimeField(null=True)
    page = models.TextField(blank=True, help_text="The page of purchase.")
    landing_page = models.TextField(blank=True)
    channel = models.TextField(blank=True)
    source = models.TextField(blank=True)
    referrer = models.TextField(blank=True)
    utm_source = models.TextField(blank=True)
    utm_medium = models.TextField(blank=True)
    utm_campaign = models.TextField(blank=True)
    utm_term = models.TextField(blank=True)
    utm_content = models.TextField(blank=True)
    country = models.CharField(max_length=2, blank=True)
    region = models.TextField(blank=True)
    city = models.TextField(blank=True)
    browser = models.TextField(blank=True)
    os = models.TextField(blank=True)
    device = models.TextField(blank=True)
    variants = ArrayField(models.IntegerField(), default=list, help_text="Variants the buyer had been shown.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.charge}: {self.channel or self.reason}"


class Attribution(Decision):
    """The decision that stands."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "charge", "model"], name="one_decision_per_charge_and_model")
        ]
        indexes = [models.Index(fields=["site", "visitor"], name="attribution_by_visitor")]


class FormerDecision(Decision):
    """One that stood until another was made. Only ever added to."""

    replaced_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["account", "charge", "model"], name="former_decision_by_charge"),
            # Nobody asks for them by site until it is deleted, and then of however many.
            models.Index(fields=["site"], name="former_decision_by_site"),
        ]
