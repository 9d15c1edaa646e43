from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from revenue.models import Connection
from revenue.money import MoneyError, exponent, to_minor
from sites.models import Site
from splittests.models import Kind, SplitTest, Variant
from splittests.pages import RuleError, parse_all

CONTROL = "Control"
FALLBACK_CURRENCY = "eur"
FALLBACK_KEY = "split-test"
HEAVIEST = 1000
# Days in which nearly everybody who will buy because of a page has bought.
USUAL_WINDOW = 7
# Stripe takes no payment of more digits in any currency.
LARGEST_TARGET = 10**12 - 1


def default_currency(site: Site) -> str:
    """Give the currency of the account that the site was connected to first."""
    first = Connection.objects.for_site(site).order_by("connected_at", "pk").first()
    return (first and first.account.default_currency) or FALLBACK_CURRENCY


def weight_field(**options: Any) -> forms.IntegerField:
    # A number input would be as wide as its largest number.
    widget = forms.TextInput(attrs={"inputmode": "numeric", "size": 4})
    return forms.IntegerField(min_value=1, max_value=HEAVIEST, initial=1, widget=widget, **options)


class VariantForm(forms.Form):
    """One variant besides the control; with neither name nor text it is none."""

    name = forms.CharField(max_length=60, required=False, widget=forms.TextInput(attrs={"size": 14}))
    text = forms.CharField(max_length=500, required=False, widget=forms.TextInput(attrs={"size": 28}))
    weight = weight_field(required=False)

    @property
    def is_used(self) -> bool:
        return bool(self.cleaned_data.get("name") or self.cleaned_data.get("text"))


class BaseVariantFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        """Name the variants that have none, and see that the names differ."""
        taken = {CONTROL.lower()}
        for number, form in enumerate(self.forms, start=1):
            if not form.is_used:
                continue
            name = form.cleaned_data.get("name") or f"Variant {number}"
            form.cleaned_data["name"] = name
            if name.lower() in taken:
                form.add_error("name", f"Another variant is named “{name}” already.")
            taken.add(name.lower())
        if len(taken) == 1 and not any(self.errors):
            raise ValidationError("Describe at least one variant: the control alone has nothing to be compared with.")

    @property
    def used(self) -> list[VariantForm]:
        return [form for form in self.forms if form.is_valid() and form.is_used]


VariantFormSet = cast(
    "type[BaseVariantFormSet]",
    forms.formset_factory(
        VariantForm, formset=BaseVariantFormSet, extra=3, max_num=9, absolute_max=9, validate_max=True
    ),
)


class PagesField(forms.CharField):
    """Rules of pages, each on a line of its own."""

    def __init__(self, **options: Any) -> None:
        attributes = {"rows": 3, "placeholder": "/pricing", "spellcheck": "false", "autocapitalize": "none"}
        super().__init__(max_length=12_000, widget=forms.Textarea(attrs=attributes), **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        rules = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        try:
            parse_all(rules)
        except RuleError as error:
            raise ValidationError(str(error)) from error
        return list(dict.fromkeys(rules))


class SplitTestForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new test, with `variants` besides the control."""

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
    )
    control_weight = weight_field(label="Weight")
    pages = PagesField(
        help_text="One on a line. * stands for anything: /products/*. Add ?plan=pro for pages with that parameter, "
        "and begin with ! to leave pages out: !/products/sold-out.",
    )
    selector = forms.CharField(
        label="Element",
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "h1", "autocapitalize": "none", "spellcheck": "false"}),
        help_text="CSS selector of the element whose text the variants replace, such as #headline. Leave it empty if "
        "the page’s own code asks for its variant.",
    )

    class Meta:
        model = SplitTest
        fields = ("name", "pages", "goal", "planned_visitors", "window_days", "cap_percentile")
        labels = {"goal": "Goal type"}
        widgets = {
            "name": forms.TextInput(attrs={"placeholder": "Pricing headline"}),
            "planned_visitors": forms.TextInput(attrs={"inputmode": "numeric", "size": 8}),
            "window_days": forms.TextInput(attrs={"inputmode": "numeric", "size": 4}),
            "cap_percentile": forms.TextInput(attrs={"inputmode": "decimal", "size": 5}),
        }

    def __init__(self, site: Site, data: Any = None) -> None:
        initial = {"currency": default_currency(site).upper(), "window_days": USUAL_WINDOW}
        super().__init__(data, instance=SplitTest(site=site), initial=initial)
        self.variants = VariantFormSet(data, prefix="variants")

    def is_valid(self) -> bool:
        # Both at once, so that all that is wrong is shown at once.
        return all([super().is_valid(), self.variants.is_valid()])

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"]
        try:
            exponent(currency)
        except MoneyError as error:
            raise ValidationError(str(error)) from error
        return currency.lower()

    def clean(self) -> None:
        super().clean()
        self._clean_target()
        self._clean_texts()

    def _clean_target(self) -> None:
        said = self.cleaned_data
        amount = said.get("amount", "")
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

    def _clean_texts(self) -> None:
        """See that there are texts for the element, and an element for the texts."""
        if "selector" not in self.cleaned_data:
            return
        selector = self.cleaned_data["selector"]
        texts = [(form, form.cleaned_data["text"]) for form in self.variants.used]
        if any(text for _, text in texts) and not selector:
            self.add_error("selector", "Name the element whose text the variants replace.")
        for form, text in texts:
            if selector and not text:
                form.add_error("text", "Enter the text that this variant shows.")

    @transaction.atomic
    def save(self, commit: bool = True) -> SplitTest:
        """Save the test with its variants, the control first."""
        test: SplitTest = self.instance
        # One at a time for each site, so that two tests of one name cannot take the same key.
        Site.objects.select_for_update().get(pk=test.site_id)
        test.key = _free_key(test.site, test.name)
        test.currency = self.cleaned_data["currency"]
        selector = self.cleaned_data["selector"]
        test.kind = Kind.CHANGES if selector else Kind.CODE
        test.save()
        Variant.objects.create(test=test, name=CONTROL, weight=self.cleaned_data["control_weight"])
        for form in self.variants.used:
            said = form.cleaned_data
            change = {"selector": selector, "action": "text", "name": "", "value": said["text"]}
            changes = [change] if selector else []
            Variant.objects.create(test=test, name=said["name"], changes=changes, weight=said["weight"] or 1)
        return test


def _free_key(site: Site, name: str) -> str:
    """Give the name as a key that no other test of the site has."""
    stem = slugify(name)[:36].strip("-") or FALLBACK_KEY
    taken = set(SplitTest.objects.for_site(site).values_list("key", flat=True))
    candidates = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    return next(key for key in candidates if key not in taken)
