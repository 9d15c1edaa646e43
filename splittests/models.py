import datetime as dt
import decimal
import secrets
from typing import ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from revenue.models import Connection
from revenue.models.accounts import Status
from revenue.money import format_money
from sites.models import Site
from tracking.models.visits import OfSite

LEAST_PERCENTILE, GREATEST_PERCENTILE = decimal.Decimal(90), decimal.Decimal("99.9")


def new_secret() -> bytes:
    return secrets.token_bytes(16)


class State(models.TextChoices):
    DRAFT = "draft", "Draft"
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"


class Goal(models.TextChoices):
    REVENUE = "revenue", "Revenue"


class StartError(Exception):
    """A test cannot be started; the message says why and what to do."""


class SplitTestQuerySet(models.QuerySet["SplitTest"]):
    def for_site(self, site: Site) -> Self:
        return self.filter(site=site)

    def running(self) -> Self:
        return self.filter(state=State.RUNNING)


class SplitTest(models.Model):
    """A page shown in two or more variants, and the goal that tells which is worth more."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="split_tests")
    name = models.CharField(max_length=120)
    key = models.SlugField(
        max_length=40,
        help_text="The name that Humblytics.variant(“…”) asks for; letters, digits and hyphens.",
    )
    path = models.CharField(
        "page",
        max_length=500,
        validators=[
            RegexValidator(r"^/[^?#\s]*\*?\Z", "Enter a path such as /pricing, or /products/* for all below it.")
        ],
        help_text="Path of the page under test, such as /pricing; a final * stands for anything.",
    )
    selector = models.CharField(
        "element",
        max_length=200,
        blank=True,
        help_text="CSS selector of the element whose text the variants replace, such as #headline. "
        "Leave it empty if the page’s own code asks for its variant.",
    )
    goal = models.CharField(max_length=16, choices=Goal.choices, default=Goal.REVENUE)
    target_amount = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Least amount of an order that counts, in minor units; empty for any revenue.",
    )
    currency = models.CharField(
        max_length=3,
        validators=[RegexValidator(r"^[a-z]{3}\Z", "Enter a code of three small letters, such as eur.")],
        help_text="Currency whose orders count, such as eur.",
    )
    planned_visitors = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Visitors of all variants together that the verdict waits for.",
    )
    window_days = models.PositiveSmallIntegerField(
        "conversion window",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Days after somebody first sees the test in which their orders count; empty for any time.",
    )
    cap_percentile = models.DecimalField(
        "cap at percentile",
        max_digits=3,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(LEAST_PERCENTILE), MaxValueValidator(GREATEST_PERCENTILE)],
        help_text="A buyer counts with no more than this percentile of what buyers bring, such as 99, so that one "
        "huge order decides nothing; empty for no cap.",
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    secret = models.BinaryField(default=new_secret, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    gathered_at = models.DateTimeField(
        null=True, editable=False, help_text="The last page view that showed a variant and is known as an exposure."
    )

    objects: ClassVar[models.Manager["SplitTest"]] = SplitTestQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["site", "key"], name="one_split_test_per_site_and_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def goal_text(self) -> str:
        if self.target_amount is None:
            return "Any Revenue"
        return f"Orders of {format_money(self.target_amount, self.currency)} or more"

    def start(self, now: dt.datetime) -> None:
        """Show the variants to visitors; a test that was started before stays as it is. Raise StartError."""
        connected = Connection.objects.for_site(self.site).exclude(status=Status.DISCONNECTED)
        if not connected.exists():
            raise StartError("Connect a Stripe account first: without one there is no revenue to compare.")
        if self.variants.count() < 2:
            raise StartError("Add a second variant first: one alone has nothing to be compared with.")
        drafts = SplitTest.objects.filter(pk=self.pk, state=State.DRAFT)
        drafts.update(state=State.RUNNING, started_at=now)

    def stop(self, now: dt.datetime) -> None:
        """Show every visitor the page as it is; a test that is not running stays as it is."""
        running = SplitTest.objects.filter(pk=self.pk, state=State.RUNNING)
        running.update(state=State.STOPPED, stopped_at=now)


class Variant(models.Model):
    """One of the things a split test shows; the first, with the lowest id, is the control."""

    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, related_name="variants")
    name = models.CharField(max_length=60)
    weight = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    text = models.CharField(
        max_length=500, blank=True, help_text="Text of the element; empty leaves the page as it is."
    )

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["test", "name"], name="one_variant_per_test_and_name"),
            models.CheckConstraint(condition=models.Q(weight__gte=1), name="every_variant_has_a_weight"),
        ]

    def __str__(self) -> str:
        return self.name


class Exposed(OfSite):
    """Somebody whom a test showed a variant: one row per test and day-visitor, gathered from the page views.

    `variant` is empty for who was shown two. Where they came from and what with is that of the first such view's
    visit, and empty where that had been deleted already.
    """

    pk = models.CompositePrimaryKey("site_id", "test_id", "visitor")
    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    visitor = models.UUIDField()
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    first_at = models.DateTimeField()
    device = models.TextField()
    country = models.CharField(max_length=2)
    channel = models.TextField()

    class Meta:
        verbose_name_plural = "exposed"

    def __str__(self) -> str:
        return str(self.visitor)
