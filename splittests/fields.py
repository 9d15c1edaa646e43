"""Form fields that read what people write of pages, countries and moments."""

import datetime as dt
import re
import zoneinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from splittests.pages import RuleError, parse_all
from tracking.places import NO_COUNTRY, TERRITORIES

CODES = {name.casefold(): code for code, name in TERRITORIES.items() if re.fullmatch("[A-Z]{2}", code)}


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


class CountriesField(forms.CharField):
    """Countries by their English names or ISO codes, with commas between them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=5_000, required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(TERRITORIES.get(code, code) for code in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        named = [name.strip() for name in re.split(r"[,;\n]", super().clean(value)) if name.strip()]
        codes = {name: _code(name) for name in named}
        if unknown := [name for name, code in codes.items() if not code]:
            raise ValidationError(f"“{unknown[0]}” is no country. Write its English name, or its code such as DE.")
        return list(dict.fromkeys(codes.values()))


def _code(name: str) -> str:
    if name.upper() in TERRITORIES and re.fullmatch("[A-Z]{2}", name.upper()):
        code = name.upper()
    else:
        code = CODES.get(name.casefold(), "")
    return "" if code in NO_COUNTRY else code


class MomentField(forms.DateTimeField):
    """A moment of the future, in the site's own time; `zone` is set by the form."""

    zone: zoneinfo.ZoneInfo

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        with timezone.override(self.zone):
            return super().prepare_value(value)

    def to_python(self, value: Any) -> dt.datetime | None:
        with timezone.override(self.zone):
            moment = super().to_python(value)
        if moment and moment <= timezone.now():
            raise ValidationError("This has passed already. Choose a later time, or leave it empty.")
        return moment
