import datetime as dt
import decimal
import secrets
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction

from revenue.money import format_money
from sites.models import Site
from splittests.models.words import Goal, Kind, StartedError, State
from splittests.pages import LONGEST, Rule, RuleError, parse, parse_all
from tracking.places import TERRITORIES

LEAST_PERCENTILE, GREATEST_PERCENTILE = decimal.Decimal(90), decimal.Decimal("99.9")
LONGEST_PATTERN = 500
MOST_METRICS = 5
# A visitor is one for a day, and for the rest of a visit that goes on past midnight.
LONGEST_DAY = dt.timedelta(days=3)

# Of a test's columns, those that say what has become of it. All others are its definition.
FATE = {"state", "started_at", "stopped_at", "gathered_at", "converted_at", "start_refusal"}
SHOWN = (State.RUNNING, State.PAUSED)


def new_secret() -> bytes:
    return secrets.token_bytes(16)


def is_rule(text: str) -> None:
    try:
        parse(text)
    except RuleError as error:
        raise ValidationError(str(error)) from error


class SplitTestQuerySet(models.QuerySet["SplitTest"]):
    def for_site(self, site: Site) -> Self:
        return self.filter(site=site)

    def running(self) -> Self:
        return self.filter(state=State.RUNNING)

    def seen_lately(self, now: dt.datetime) -> Self:
        """Those that visitors of the last days were shown: what they do may still be conversions."""
        return self.filter(models.Q(stopped_at=None) | models.Q(stopped_at__gt=now - LONGEST_DAY), started_at__lt=now)


class SplitTest(models.Model):
    """Pages shown in two or more variants, and the goal that tells which is worth more.

    What has been started is not changed any more: a change makes a new version of it, of the same key. Only one
    version of a key is running or paused at a time.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="split_tests")
    name = models.CharField(max_length=120)
    key = models.SlugField(
        max_length=40,
        help_text="The name that Humblytics.variant(“…”) asks for; letters, digits and hyphens.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    previous = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    hypothesis = models.TextField(
        blank=True, help_text="What you change, for whom, and why it should make more of them reach the goal."
    )
    kind = models.CharField("variants are", max_length=16, choices=Kind.choices, default=Kind.CHANGES)
    pages = ArrayField(
        models.CharField(max_length=LONGEST, validators=[is_rule]),
        help_text="Pages under test: /pricing, or /products/* where * stands for anything. ?plan=pro behind it asks "
        "for a parameter of the address, ! before it leaves pages out.",
    )
    traffic_percent = models.PositiveSmallIntegerField(
        "share of visitors",
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Percent of the visitors who take part; all others are shown the page as it is and not counted.",
    )
    devices = ArrayField(models.TextField(), default=list, blank=True, help_text="As tracking calls them; empty: all.")
    countries = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="ISO 3166-1 codes; empty: all."
    )
    channels = ArrayField(models.TextField(), default=list, blank=True, help_text="As tracking calls them; empty: all.")
    goal = models.CharField(max_length=16, choices=Goal.choices, default=Goal.REVENUE)
    goal_pattern = models.CharField(
        max_length=LONGEST_PATTERN, blank=True, help_text="Which page, click, form or event; empty for revenue."
    )
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
        help_text="Days after somebody first sees the test in which what they do counts; empty for any time.",
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
    starts_at = models.DateTimeField(
        null=True, blank=True, help_text="When it starts by itself; empty: when somebody starts it."
    )
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text="When it stops by itself; empty: when somebody stops it."
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    start_refusal = models.TextField(
        blank=True, editable=False, help_text="Why it did not start when it should have by itself."
    )
    secret = models.BinaryField(default=new_secret, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    gathered_at = models.DateTimeField(
        null=True, editable=False, help_text="The last page view that showed a variant and is known as an exposure."
    )
    converted_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was last looked who has reached goals that are no revenue."
    )

    objects: ClassVar[models.Manager["SplitTest"]] = SplitTestQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["site", "key", "version"], name="one_split_test_per_key_and_version"),
            models.UniqueConstraint(
                fields=["site", "key"], condition=models.Q(state__in=SHOWN), name="one_running_split_test_per_key"
            ),
            models.CheckConstraint(
                condition=models.Q(traffic_percent__range=(1, 100)), name="split_test_has_a_share_of_visitors"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, but raise StartedError if what has been started would be another test then."""
        if not self._state.adding:
            known = SplitTest.objects.filter(pk=self.pk).exclude(state=State.DRAFT).first()
            if known and any(getattr(known, name) != getattr(self, name) for name in _definition()):
                raise StartedError(f"“{known}” has been started: what it is cannot be changed any more.")
        super().save(*args, **kwargs)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return parse_all(self.pages)

    @property
    def goal_text(self) -> str:
        if self.goal != Goal.REVENUE or self.target_amount is None:
            return _in_words(self.goal, self.goal_pattern)
        return f"Orders of {format_money(self.target_amount, self.currency)} or more"

    @property
    def counts_revenue(self) -> bool:
        """Whether its goal, or a metric of its, is money."""
        return Goal.REVENUE in (self.goal, *(metric.goal for metric in self.metrics.all()))

    @property
    def audience_text(self) -> str:
        """Name the devices, countries and channels that take part; "" if all do."""
        countries = [TERRITORIES.get(code, code) for code in self.countries]
        return "; ".join(", ".join(names) for names in (self.devices, countries, self.channels) if names)

    @transaction.atomic
    def start(self, now: dt.datetime) -> None:
        """Show the variants to visitors, and stop the version that did so; a test that is no draft stays as it is.

        Whether that makes sense, `guards` tell before.
        """
        # Of two versions that are started at once, the second waits here.
        versions = SplitTest.objects.select_for_update().filter(site_id=self.site_id, key=self.key)
        state = next((version.state for version in versions.order_by("pk") if version.pk == self.pk), None)
        if state != State.DRAFT:
            return
        for version in versions.filter(state__in=SHOWN):
            version.stop(now)
        SplitTest.objects.filter(pk=self.pk).update(state=State.RUNNING, started_at=now, start_refusal="")

    @transaction.atomic
    def pause(self, now: dt.datetime) -> None:
        """Show every visitor the page as it is for now; a test that is not running stays as it is."""
        if SplitTest.objects.filter(pk=self.pk, state=State.RUNNING).update(state=State.PAUSED):
            Pause.objects.create(test=self, began_at=now)

    @transaction.atomic
    def resume(self, now: dt.datetime) -> None:
        """Show the variants again; a test that is not paused stays as it is."""
        if SplitTest.objects.filter(pk=self.pk, state=State.PAUSED).update(state=State.RUNNING):
            self.pauses.filter(ended_at=None).update(ended_at=now)

    @transaction.atomic
    def stop(self, now: dt.datetime) -> None:
        """Show every visitor the page as it is, for good; a test that is neither running nor paused stays as it is."""
        shown = SplitTest.objects.filter(pk=self.pk, state__in=SHOWN)
        if shown.update(state=State.STOPPED, stopped_at=now):
            self.pauses.filter(ended_at=None).update(ended_at=now)

    def archive(self) -> None:
        """Leave the test out of the list; one that is running or paused stays where it is."""
        over = SplitTest.objects.filter(pk=self.pk, state__in=(State.DRAFT, State.STOPPED))
        over.update(state=State.ARCHIVED)


def _definition() -> list[str]:
    return [field.attname for field in SplitTest._meta.concrete_fields if field.name not in FATE]


def _in_words(goal: str, pattern: str) -> str:
    return "Any Revenue" if goal == Goal.REVENUE else f"{Goal(goal).label}: {pattern}"


class OfDraft(models.Model):
    """A part of a test's definition, which cannot be changed once the test has been started. Raises StartedError."""

    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, related_name="%(class)ss")

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_started()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._refuse_if_started()
        return super().delete(*args, **kwargs)

    def _refuse_if_started(self) -> None:
        if SplitTest.objects.filter(pk=self.test_id).exclude(state=State.DRAFT).exists():
            raise StartedError(f"“{self.test}” has been started: its parts cannot be changed any more.")


class Variant(OfDraft):
    """One of the things a split test shows; the first, with the lowest id, is the control.

    Of a test of changes, the control changes nothing, but is seen when what the others change is there. Of one that
    redirects, it is the page itself.
    """

    name = models.CharField(max_length=60)
    weight = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    changes = models.JSONField(
        default=list, blank=True, help_text="What it changes on the page, as splittests.changes says."
    )
    redirect_url = models.CharField(
        "address",
        max_length=2000,
        blank=True,
        help_text="Page of the site that is shown instead: a path, or an address with https://; empty for the control.",
    )

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["test", "name"], name="one_variant_per_test_and_name"),
            models.CheckConstraint(condition=models.Q(weight__gte=1), name="every_variant_has_a_weight"),
        ]

    def __str__(self) -> str:
        return self.name


class Metric(OfDraft):
    """Something else that is counted besides the test's goal. A guardrail must not get worse by what is tested."""

    class Role(models.TextChoices):
        SECONDARY = "secondary", "Secondary"
        GUARDRAIL = "guardrail", "Guardrail"

    name = models.CharField(max_length=60)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.SECONDARY)
    goal = models.CharField(max_length=16, choices=Goal.choices, default=Goal.PAGE)
    pattern = models.CharField(
        max_length=LONGEST_PATTERN, blank=True, help_text="Which page, click, form or event; empty for revenue."
    )

    class Meta:
        ordering = ("id",)
        constraints = [models.UniqueConstraint(fields=["test", "name"], name="one_metric_per_test_and_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def goal_text(self) -> str:
        return _in_words(self.goal, self.pattern)


class Pause(models.Model):
    """A time in which a test that had been started showed nobody anything; open if it still does."""

    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, related_name="pauses")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("began_at",)

    def __str__(self) -> str:
        return f"{self.test} from {self.began_at}"
