from django.contrib import admin
from django.http import HttpRequest

from splittests.models import SplitTest, State, Variant


class VariantInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Variant
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_delete_permission(request, obj)


@admin.register(SplitTest)
class SplitTestAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A test is started and stopped on its own page; from then on its definition can only be read."""

    list_display = ("name", "site", "pages", "state", "started_at", "stopped_at")
    list_filter = ("state",)
    list_select_related = ("site",)
    search_fields = ("name", "key", "site__domain")
    raw_id_fields = ("site",)
    readonly_fields = ("state", "created_at", "started_at", "stopped_at")
    inlines = (VariantInline,)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # type: ignore[override]
        return not lookup.startswith("secret") and super().lookup_allowed(lookup, value, request)

    def has_change_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SplitTest | None = None) -> bool:
        # Without its definition the visits that a running test has marked would mean nothing.
        is_running = obj is not None and obj.state == State.RUNNING
        return not is_running and super().has_delete_permission(request, obj)


def _is_draft(test: SplitTest | None) -> bool:
    """None is the list of all tests, or one about to be added."""
    return test is None or test.state == State.DRAFT
