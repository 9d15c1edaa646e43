from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from splittests import addresses, changes
from splittests.models import Metric, SplitTest, State, Variant
from splittests.models.definitions import SHOWN


class VariantForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes no more than the page of a new test does."""

    def clean_changes(self) -> list[dict[str, str]]:
        told: Any = self.cleaned_data["changes"] or []
        parts = {"selector", "action", "name", "value"}
        if not isinstance(told, list) or not all(isinstance(each, dict) and each.keys() == parts for each in told):
            raise ValidationError("Write a list of objects with “selector”, “action”, “name” and “value”.")
        if not all(isinstance(value, str) for each in told for value in each.values()):
            raise ValidationError("Each part of a change is a text.")
        try:
            for each in told:
                changes.check(each)
        except changes.ChangeError as error:
            raise ValidationError(str(error)) from error
        return told

    def clean_redirect_url(self) -> str:
        url: str = self.cleaned_data["redirect_url"]
        try:
            if url and self.instance.test.site_id:
                addresses.check(self.instance.test.site, url)
        except addresses.AddressError as error:
            raise ValidationError(str(error)) from error
        return url


class OfDraftInline(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_delete_permission(request, obj)


class VariantInline(OfDraftInline):
    model = Variant
    form = VariantForm


class MetricInline(OfDraftInline):
    model = Metric


@admin.register(SplitTest)
class SplitTestAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A test is started and stopped on its own page; from then on its definition can only be read."""

    list_display = ("name", "version", "site", "kind", "pages", "state", "started_at", "stopped_at")
    list_filter = ("state", "kind", "goal")
    list_select_related = ("site",)
    search_fields = ("name", "key", "site__domain")
    raw_id_fields = ("site",)
    readonly_fields = ("version", "previous", "state", "start_refusal", "created_at", "started_at", "stopped_at")
    inlines = (VariantInline, MetricInline)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # type: ignore[override]
        return not lookup.startswith("secret") and super().lookup_allowed(lookup, value, request)

    def get_readonly_fields(self, request: HttpRequest, obj: SplitTest | None = None) -> tuple[str, ...]:
        # All versions of a test have its key.
        return (*self.readonly_fields, "key") if obj and obj.version > 1 else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        # Without its definition the visits that a running test has marked would mean nothing.
        is_running = obj is not None and obj.state in SHOWN
        return not is_running and super().has_delete_permission(request, obj)


def _is_draft(test: SplitTest | None) -> bool:
    """None is the list of all tests, or one about to be added."""
    return test is None or test.state == State.DRAFT
