"""What a site's owners enter about their tracking, goals and reports, read strictly."""

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction

from sites.converters import DomainConverter
from sites.forms import bare_domain, host_in
from sites.models import Site
from tracking import goals
from tracking.hits import LONGEST_NAME
from tracking.models import EmailReport, Goal, Intake, SourceRule
from tracking.models.rules import is_network

MOST_LINES = 200


def host_pattern(text: str) -> str:
    """Give a host, or `*.` and a host, as hits are compared with it. Raise ValidationError."""
    wildcard = "*." if text.startswith("*.") else ""
    host = host_in(text.removeprefix("*."))
    if not re.fullmatch(DomainConverter.regex, host) or len(host) > 250:
        raise ValidationError(f"“{text}” is no host. Write www.example.com, or *.example.com for all below it.")
    return wildcard + host


def network(text: str) -> str:
    """Give an address or a network as it is usually written. Raise ValidationError."""
    is_network(text)
    read = ipaddress.ip_network(text, strict=False)
    return str(read.network_address if read.num_addresses == 1 else read)


def page_pattern(text: str) -> str:
    """Give the path in what people paste, with its `*`. Raise ValidationError when there is none."""
    if "://" in text:
        text = re.sub(r"^[^:]*://[^/?#]*", "", text).partition("?")[0] or "/"
    text = text.partition("?")[0]
    if not text.startswith(("/", "*")):
        raise ValidationError("The address of a page begins with /, such as /thank-you.")
    return text


class LinesField(forms.CharField):
    """Several values, one on a line; `read` gives each as it is to be kept, or raises ValidationError."""

    def __init__(self, read: Callable[[str], str], placeholder: str, **options: Any) -> None:
        attributes = {"rows": 4, "placeholder": placeholder, "spellcheck": "false", "autocapitalize": "none"}
        super().__init__(required=False, max_length=20_000, widget=forms.Textarea(attrs=attributes), **options)
        self._read = read

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        lines = re.split(r"[\s,;]+", super().clean(value))
        found: dict[str, None] = {}
        mistakes: list[ValidationError] = []
        for line in filter(None, lines):
            try:
                found[self._read(line)] = None
            except ValidationError as mistake:
                mistakes.append(mistake)
        if len(found) > MOST_LINES:
            mistakes.append(ValidationError(f"These are {len(found)} lines; {MOST_LINES} is the most."))
        if mistakes:
            raise ValidationError(mistakes)
        return list(found)


class IntakeForm(forms.ModelForm):  # type: ignore[type-arg]
    hostnames = LinesField(
        host_pattern,
        "www.example.com\n*.example.com",
        label="Only these hosts",
        help_text="One on a line; *.example.com stands for all hosts below example.com, not for example.com itself. "
        "Empty: this site’s domain and all hosts below it.",
    )
    excluded_networks = LinesField(
        network,
        "203.0.113.7\n198.51.100.0/24",
        label="Not from these addresses",
        help_text="One on a line: an IP address, or a network. Visits from there, such as your own, are not counted.",
    )

    class Meta:
        model = Intake
        fields = [
            *("hostnames", "excluded_networks"),
            *("respects_gpc", "respects_dnt", "takes_null_origin", "has_hash_routes"),
        ]
        help_texts = {
            "respects_gpc": "Visitors whose browsers ask not to be tracked in this way are not counted at all.",
            "respects_dnt": "The same for the older signal, which browsers are giving up.",
        }

    @classmethod
    def of(cls, site: Site, data: Any = None) -> "IntakeForm":
        return cls(data, instance=Intake.objects.filter(site=site).first() or Intake(site=site))


class OfSiteForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form for something of a site, whose constraints know the site."""

    def _get_validation_exclusions(self) -> set[str]:
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"site"}

    def is_kept(self) -> bool:
        """Save if all is well; else the form says what is not."""
        if not self.is_valid():
            return False
        try:
            with transaction.atomic():
                self._keep()
        except IntegrityError:
            # The same was sent twice at the same time.
            self.add_error(None, "This is there already.")
            return False
        return True

    def _keep(self) -> None:
        self.save()


class SourceRuleForm(OfSiteForm):
    class Meta:
        model = SourceRule
        fields = ["looks_at", "pattern", "source", "channel"]
        error_messages = {NON_FIELD_ERRORS: {"unique_together": "There is a rule for this already: remove it first."}}
        labels = {"looks_at": "Where visits come with", "pattern": "Host or utm_source", "source": "Call the source"}
        help_texts = {
            "pattern": "A host such as partner.example stands for those below it, too; a utm_source for itself.",
            "channel": "",
        }

    def __init__(self, site: Site, data: Any = None) -> None:
        super().__init__(data, instance=SourceRule(site=site))
        self.fields["channel"].choices = [("", "As usual"), *SourceRule._meta.get_field("channel").choices]  # type: ignore[attr-defined,misc]
        self.fields["channel"].required = False

    def clean_pattern(self) -> str:
        pattern: str = self.cleaned_data["pattern"]
        if self.cleaned_data.get("looks_at") == SourceRule.Looks.REFERRER:
            return bare_domain(pattern)
        return pattern.lower()


class GoalForm(OfSiteForm):
    class Meta:
        model = Goal
        fields = ["name", "kind", "pattern"]
        error_messages = {NON_FIELD_ERRORS: {"unique_together": "There is a goal of this name already."}}
        labels = {"kind": "It is reached when", "pattern": "Page or event"}
        help_texts = {
            "pattern": "A page’s path, with * for anything: /orders/*/done. Or the name of an event, exactly.",
        }

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or self.cleaned_data
        pattern = told.get("pattern", "")
        try:
            if told.get("kind") == Goal.Kind.PAGE and pattern:
                told["pattern"] = page_pattern(pattern)
            elif len(pattern) > LONGEST_NAME:
                raise ValidationError(f"The name of an event has at most {LONGEST_NAME} characters.")
        except ValidationError as mistake:
            self.add_error("pattern", mistake)
        return told

    def _keep(self) -> None:
        goals.keep(self.instance)


class ReportForm(OfSiteForm):
    class Meta:
        model = EmailReport
        fields = ["email", "every"]
        error_messages = {NON_FIELD_ERRORS: {"unique_together": "This address is sent this report already."}}
        labels = {"every": "How often"}

    def __init__(self, site: Site, data: Any = None) -> None:
        super().__init__(data, instance=EmailReport(site=site))

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email.lower()
