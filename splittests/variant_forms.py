"""The parts of a test's form that have rows: its variants with their changes, and its metrics.

A row in which nothing is written is none. What belongs to another kind of test than the one that is chosen is left
alone, so that somebody may change their mind without writing it anew.
"""

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from sites.models import Site
from splittests import addresses, changes
from splittests.models import Goal, Kind, Metric, SplitTest, Variant
from splittests.models.definitions import LONGEST_PATTERN, MOST_METRICS

CONTROL = "Control"
HEAVIEST = 1000
MOST_VARIANTS = 9
CODE_LIKE = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}
NAMELESS = {changes.Action.TEXT, changes.Action.HTML}


def weight_field(**options: Any) -> forms.IntegerField:
    # A number input would be as wide as its largest number.
    widget = forms.TextInput(attrs={"inputmode": "numeric", "size": 4})
    return forms.IntegerField(min_value=1, max_value=HEAVIEST, initial=1, widget=widget, **options)


def with_another(data: QueryDict, where: str) -> QueryDict:
    """Give what was sent with one more row: of "variants", of "metrics", or of one variant’s "variants-0-changes"."""
    if not re.fullmatch(r"variants|metrics|variants-\d-changes", where):
        return data
    more = data.copy()
    total = more.get(f"{where}-TOTAL_FORMS", "")
    number = int(total) if re.fullmatch(r"\d\d?", total) else 0
    more[f"{where}-TOTAL_FORMS"] = str(number + 1)
    row = f"{where}-{number}"
    if where == "variants":
        more.update({f"{row}-weight": "1", f"{row}-changes-TOTAL_FORMS": "1", f"{row}-changes-INITIAL_FORMS": "0"})
    elif where == "metrics":
        more[f"{row}-goal"] = Goal.PAGE
    return more


class ChangeForm(forms.Form):
    selector = forms.CharField(
        label="Element",
        max_length=changes.LONGEST_SELECTOR,
        required=False,
        widget=forms.TextInput(attrs={**CODE_LIKE, "placeholder": "#headline"}),
    )
    action = forms.ChoiceField(label="Change its", choices=list(changes.LABELS.items()), required=False)
    name = forms.CharField(
        max_length=changes.LONGEST_NAME,
        required=False,
        widget=forms.TextInput(attrs={**CODE_LIKE, "placeholder": "color"}),
    )
    value = forms.CharField(
        label="To", max_length=changes.LONGEST_VALUE, required=False, widget=forms.Textarea(attrs={"rows": 1})
    )

    @property
    def is_used(self) -> bool:
        return any(self.cleaned_data.get(name) for name in ("selector", "value"))

    @property
    def change(self) -> dict[str, str]:
        said = self.cleaned_data
        action = said.get("action") or changes.Action.TEXT.value
        name = "" if action in NAMELESS else said.get("name", "")
        return {"selector": said.get("selector", ""), "action": action, "name": name, "value": said.get("value", "")}

    def clean(self) -> None:
        if not self.is_used:
            return
        try:
            changes.check(self.change)
        except changes.ChangeError as error:
            self.add_error(error.field, str(error))


ChangeFormSet = cast(
    "type[forms.BaseFormSet[ChangeForm]]",
    forms.formset_factory(
        ChangeForm, extra=1, max_num=changes.MOST_CHANGES, absolute_max=changes.MOST_CHANGES, validate_max=True
    ),
)


class VariantForm(forms.Form):
    """One variant besides the control, with what each kind of test asks of it."""

    name = forms.CharField(max_length=60, required=False)
    weight = weight_field(required=False)
    redirect_url = forms.CharField(
        label="Address of its page",
        max_length=2000,
        required=False,
        widget=forms.TextInput(attrs={**CODE_LIKE, "placeholder": "/pricing-b"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        initial = self.initial.get("changes") or []
        self.changes = ChangeFormSet(
            self.data if self.is_bound else None, prefix=f"{self.prefix}-changes", initial=initial
        )
        self.changes.extra = 0 if initial else 1

    def is_used(self, kind: str) -> bool:
        """Tell whether anything is written in what this kind of test asks for."""
        said = self.cleaned_data
        is_written = kind == Kind.REDIRECT and bool(said.get("redirect_url"))
        if kind == Kind.CHANGES:
            # Validated, whether it is valid or not.
            self.changes.is_valid()
            is_written = bool(self.used_changes)
        return bool(said.get("name")) or is_written or bool(self.errors)

    @property
    def used_changes(self) -> list[dict[str, str]]:
        return [form.change for form in self.changes.forms if form.is_used]

    def check(self, kind: str, site: Site) -> None:
        """See that a used row has what its kind of test asks for."""
        if kind == Kind.CHANGES:
            if not self.changes.is_valid():
                self.add_error(None, "One of its changes cannot be made: see below.")
            elif not self.used_changes:
                self.add_error(None, "Add a change: an element, and what becomes of it.")
        elif kind == Kind.REDIRECT:
            address = self.cleaned_data.get("redirect_url", "")
            if not address and "redirect_url" not in self.errors:
                self.add_error("redirect_url", "Enter the address of the page that this variant shows.")
            elif address:
                try:
                    addresses.check(site, address)
                except addresses.AddressError as error:
                    self.add_error("redirect_url", str(error))

    def variant(self, test: SplitTest) -> Variant:
        said = self.cleaned_data
        variant = Variant(test=test, name=said["name"], weight=said.get("weight") or 1)
        if test.kind == Kind.CHANGES:
            variant.changes = self.used_changes
        elif test.kind == Kind.REDIRECT:
            variant.redirect_url = said["redirect_url"]
        return variant


class BaseVariantFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    """The form sets `kind` and `site` before this is cleaned."""

    kind = ""
    site: Site
    control = CONTROL

    def clean(self) -> None:
        """Name the variants that have none, and see that the names differ."""
        taken = {self.control.lower()}
        for number, form in enumerate(self.forms, start=1):
            if not form.is_used(self.kind):
                continue
            form.check(self.kind, self.site)
            name = form.cleaned_data.get("name") or f"Variant {number}"
            form.cleaned_data["name"] = name
            if name.lower() in taken:
                form.add_error("name", f"Another variant is named “{name}” already.")
            taken.add(name.lower())
        if len(taken) == 1 and not any(self.errors):
            raise ValidationError("Describe at least one variant: the control alone has nothing to be compared with.")

    @property
    def used(self) -> list[VariantForm]:
        return [form for form in self.forms if form.is_valid() and form.is_used(self.kind)]


VariantFormSet = cast(
    "type[BaseVariantFormSet]",
    forms.formset_factory(
        VariantForm,
        formset=BaseVariantFormSet,
        extra=1,
        max_num=MOST_VARIANTS,
        absolute_max=MOST_VARIANTS,
        validate_max=True,
    ),
)


class MetricForm(forms.Form):
    name = forms.CharField(max_length=60, required=False)
    role = forms.ChoiceField(label="It is", choices=Metric.Role.choices, required=False)
    goal = forms.ChoiceField(label="Counts when", choices=Goal.choices, required=False, initial=Goal.PAGE)
    pattern = forms.CharField(
        label="Which one", max_length=LONGEST_PATTERN, required=False, widget=forms.TextInput(attrs=CODE_LIKE)
    )

    @property
    def is_used(self) -> bool:
        said = self.cleaned_data
        return bool(said.get("name") or said.get("pattern") or said.get("goal") == Goal.REVENUE)

    def clean(self) -> None:
        said = self.cleaned_data
        if not self.is_used:
            return
        if said.get("goal") == Goal.REVENUE:
            said["pattern"] = ""
        else:
            check_pattern(self, "pattern", said.get("goal") or Goal.PAGE)
        said["name"] = said.get("name") or said.get("pattern") or Goal.REVENUE.label


def check_pattern(form: forms.BaseForm, field: str, goal: str) -> None:
    """See that it is said which page, click, form or event counts."""
    pattern = form.cleaned_data.get(field, "")
    if field in form.errors:
        return
    if not pattern:
        form.add_error(field, "Say which one counts.")
    elif goal == Goal.PAGE and not pattern.startswith(("/", "*")):
        form.add_error(field, "The address of a page begins with /, such as /thank-you.")


class BaseMetricFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        taken: set[str] = set()
        for form in self.forms:
            if not form.is_used:
                continue
            name = form.cleaned_data.get("name", "")[:60]
            form.cleaned_data["name"] = name
            if name.lower() in taken:
                form.add_error("name", f"Another metric is named “{name}” already.")
            taken.add(name.lower())

    def metrics(self, test: SplitTest) -> list[Metric]:
        said = [form.cleaned_data for form in self.forms if form.is_used]
        return [
            Metric(
                test=test,
                name=each["name"],
                role=each["role"] or Metric.Role.SECONDARY,
                goal=each["goal"] or Goal.PAGE,
                pattern=each["pattern"],
            )
            for each in said
        ]


MetricFormSet = cast(
    "type[BaseMetricFormSet]",
    forms.formset_factory(
        MetricForm,
        formset=BaseMetricFormSet,
        extra=0,
        max_num=MOST_METRICS,
        absolute_max=MOST_METRICS,
        validate_max=True,
    ),
)
