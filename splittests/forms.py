import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.utils import ErrorDict
from django.utils import timezone
from django.utils.text import slugify

from revenue.models import Connection
from revenue.money import MoneyError, exponent, plain, to_minor
from sites.models import Site
from splittests.fields import CountriesField, MomentField, PagesField
from splittests.models import Goal, Metric, SplitTest, StartedError, State, Variant
from splittests.traffic import paid_lately
from splittests.variant_forms import CODE_LIKE, CONTROL, MetricFormSet, VariantFormSet, check_pattern, weight_field
from tracking.devices import KINDS
from tracking.sources import Channel

FALLBACK_CURRENCY = "eur"
FALLBACK_KEY = "split-test"
# Days in which nearly everybody who will buy because of a page has bought.
USUAL_WINDOW = 7
# Stripe takes no payment of more digits in any currency.
LARGEST_TARGET = 10**12 - 1


def default_currency(site: Site, now: dt.datetime) -> str:
    """Give the currency that most is paid in lately, or that of the account that the site was connected to first."""
    if paid := paid_lately(site, now):
        return paid[0]
    first = Connection.objects.for_site(site).order_by("connected_at", "pk").first()
    return (first and first.account.default_currency) or FALLBACK_CURRENCY


class SplitTestForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new test, or a draft, with its `variants` besides the control and its `metrics`."""

    pages = PagesField(
        help_text="One on a line. * stands for anything: /products/*. Add ?plan=pro for pages with that parameter, "
        "and begin with ! to leave pages out: !/products/sold-out."
    )
    target = forms.ChoiceField(
        label="Target revenue",
        choices=[("any", "Any Revenue"), ("amount", "Target amount")],
        initial="any",
        widget=forms.RadioSelect,
    )
    amount = forms.CharField(
        label="Amount",
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"size": 12, "inputmode": "decimal"}),
    )
    currency = forms.CharField(
        max_length=3,
        widget=forms.TextInput(attrs={"size": 5, "autocapitalize": "characters", "spellcheck": "false"}),
        help_text="Only orders in this currency count.",
    )
    control_name = forms.CharField(label="Name", max_length=60, required=False)
    control_weight = weight_field(label="Weight")
    devices = forms.MultipleChoiceField(
        choices=[(kind, kind) for kind in KINDS], required=False, widget=forms.CheckboxSelectMultiple
    )
    countries = CountriesField(
        widget=forms.TextInput(attrs={"placeholder": "Germany, Austria, CH"}),
        help_text="With commas between them. Empty: visitors from everywhere.",
    )
    channels = forms.MultipleChoiceField(
        choices=[(channel.value, channel.value) for channel in Channel],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    starts_at = MomentField(label="Start", help_text="Empty: when you press Start.")
    ends_at = MomentField(label="End", help_text="Empty: when you press Stop.")

    class Meta:
        model = SplitTest
        fields = (
            *("name", "hypothesis", "kind", "pages", "traffic_percent", "devices", "countries", "channels"),
            *("goal", "goal_pattern", "planned_visitors", "window_days", "cap_percentile", "starts_at", "ends_at"),
        )
        labels = {"goal": "Goal type", "goal_pattern": "Which one", "kind": "What the variants are"}
        help_texts = {"goal_pattern": ""}
        widgets = {
            "name": forms.TextInput(attrs={"placeholder": "Pricing headline"}),
            "hypothesis": forms.Textarea(
                attrs={"rows": 3, "placeholder": "Because …, a headline that … will make more visitors …"}
            ),
            "kind": forms.RadioSelect,
            "goal": forms.RadioSelect,
            "goal_pattern": forms.TextInput(attrs=CODE_LIKE),
            "traffic_percent": forms.TextInput(attrs={"inputmode": "numeric", "size": 4}),
            "planned_visitors": forms.TextInput(attrs={"inputmode": "numeric", "size": 8}),
            "window_days": forms.TextInput(attrs={"inputmode": "numeric", "size": 4}),
            "cap_percentile": forms.TextInput(attrs={"inputmode": "decimal", "size": 5}),
        }

    def __init__(self, site: Site, data: Any = None, test: SplitTest | None = None) -> None:
        initial = _initial(test) if test else _usual(site)
        super().__init__(data, instance=test or SplitTest(site=site), initial=initial)
        for name in ("starts_at", "ends_at"):
            self.fields[name].zone = site.zone  # type: ignore[attr-defined]
        self.fields["control_name"].initial = initial.get("control_name", CONTROL)
        # What was sent stands for itself: Django takes a row that is as it was for one that was left out.
        known = None if data else test
        self.variants = VariantFormSet(data, prefix="variants", initial=_variants(known) if known else None)
        self.metrics = MetricFormSet(data, prefix="metrics", initial=_metrics(known) if known else None)
        self.variants.extra = 0 if known else 1
        self.variants.site = site

    def is_valid(self) -> bool:
        if not self.is_bound:
            return False
        # All at once, so that all that is wrong is shown at once.
        is_well = super().is_valid()
        self.variants.kind = self.cleaned_data.get("kind", "")
        self.variants.control = self.cleaned_data.get("control_name") or CONTROL
        return all([is_well, self.variants.is_valid(), self.metrics.is_valid()])

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"]
        try:
            exponent(currency)
        except MoneyError as error:
            raise ValidationError(str(error)) from error
        return currency.lower()

    def clean(self) -> None:
        super().clean()
        said = self.cleaned_data
        if said.get("goal") == Goal.REVENUE:
            said["goal_pattern"] = ""
            self._clean_target()
        elif "goal" in said:
            self.instance.target_amount = None
            check_pattern(self, "goal_pattern", said["goal"])
        starts_at, ends_at = said.get("starts_at"), said.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", "This is not after the start.")

    def _clean_target(self) -> None:
        said = self.cleaned_data
        amount = said.get("amount", "")
        self.instance.target_amount = None
        if said.get("target") == "any" and amount:
            self.add_error("amount", "Choose “Target amount” above, or leave this empty.")
        if said.get("target") != "amount" or "currency" not in said or self.has_error("amount"):
            return
        try:
            target = to_minor(amount, said["currency"])
        except MoneyError as error:
            self.add_error("amount", str(error))
            return
        if not 1 <= target <= LARGEST_TARGET:
            self.add_error("amount", "No order is that small or that large. Enter an amount above zero.")
        self.instance.target_amount = target

    @transaction.atomic
    def save(self, commit: bool = True) -> SplitTest:
        """Save the test with its variants, the control first, and its metrics. Raise StartedError if it has begun."""
        test: SplitTest = self.instance
        # One at a time for each site, so that two tests of one name cannot take the same key.
        Site.objects.select_for_update().get(pk=test.site_id)
        if test.pk and SplitTest.objects.select_for_update().get(pk=test.pk).state != State.DRAFT:
            raise StartedError(f"“{test}” has been started: make a new version of it.")
        test.key = test.key or _free_key(test.site, test.name)
        test.currency = self.cleaned_data["currency"]
        # What refused it may be what was changed now.
        test.start_refusal = ""
        test.save()
        test.variants.all().delete()
        test.metrics.all().delete()
        control = self.cleaned_data["control_name"] or CONTROL
        Variant.objects.create(test=test, name=control, weight=self.cleaned_data["control_weight"])
        for part in (*(form.variant(test) for form in self.variants.used), *self.metrics.metrics(test)):
            part.save()
        return test

    def hush(self) -> None:
        """Show what was written so far, and say nothing of what is wrong with it."""
        for form in (self, *self.variants.forms, *self.metrics.forms):
            form._errors = ErrorDict()
        for formset in (self.variants, self.metrics, *(form.changes for form in self.variants.forms)):
            formset._errors, formset._non_form_errors = [], formset.error_class()
            for form in formset.forms:
                form._errors = ErrorDict()


def _usual(site: Site) -> dict[str, Any]:
    return {"currency": default_currency(site, timezone.now()).upper(), "window_days": USUAL_WINDOW}


def _initial(test: SplitTest) -> dict[str, Any]:
    control = test.variants.order_by("pk").first()
    has_target = test.target_amount is not None
    return {
        "currency": test.currency.upper(),
        "target": "amount" if has_target else "any",
        "amount": plain(test.target_amount, test.currency) if test.target_amount is not None else "",
        "control_name": control.name if control else CONTROL,
        "control_weight": control.weight if control else 1,
    }


def _variants(test: SplitTest) -> list[dict[str, Any]]:
    others = test.variants.order_by("pk")[1:]
    return [{name: getattr(each, name) for name in ("name", "weight", "redirect_url", "changes")} for each in others]


def _metrics(test: SplitTest) -> list[dict[str, Any]]:
    metrics = Metric.objects.filter(test=test)
    return [{name: getattr(each, name) for name in ("name", "role", "goal", "pattern")} for each in metrics]


def _free_key(site: Site, name: str) -> str:
    """Give the name as a key that no other test of the site has."""
    stem = slugify(name)[:36].strip("-") or FALLBACK_KEY
    taken = set(SplitTest.objects.for_site(site).values_list("key", flat=True))
    candidates = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    return next(key for key in candidates if key not in taken)
