"""What came in, to be looked at but not changed; and what owners have said about their sites, which can be.

The tables of the former are large and their indexes begin with the site, so every question names the sites and a
time, or the sites and an id; there is no list of everything. Counts are not here: Django's admin cannot show a table
whose key is of several columns.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from sites.large_lists import MOST, BoundedPaginator
from sites.models import Site
from tracking import goals
from tracking.models import EmailReport, Event, Goal, Intake, SourceRule, View, Visit

DAYS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days"}


class DaysFilter(admin.SimpleListFilter):
    """The last day unless more are asked for; a search by id looks at all times."""

    title = "time"
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(DAYS.items())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for days, title in DAYS.items():
            address = changelist.get_query_string({self.parameter_name: days})
            yield {"selected": self._days() == days, "query_string": address, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if request.GET.get(SEARCH_VAR):
            return queryset
        since = timezone.now() - dt.timedelta(days=int(self._days()))
        moment = "started_at" if queryset.model is Visit else "at"
        return queryset.filter(**{f"{moment}__gte": since})

    def _days(self) -> str:
        value = self.value()
        return value if value in DAYS else "1"


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_filter = ("site", DaysFilter)
    list_select_related = ("site",)
    search_fields = ("id",)
    search_help_text = f"The id, in full. The list goes as far as {MOST:,} rows."
    paginator = BoundedPaginator
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # The numbers themselves, not a subquery: only they are sure to be looked up in the index.
        sites = list(Site.objects.values_list("pk", flat=True))
        return super().get_queryset(request).filter(site__in=sites)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        try:
            return queryset.filter(id=uuid.UUID(search_term.strip())), False
        except ValueError:
            return queryset.none(), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Visit)
class VisitAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "site",
        "started_at",
        "views",
        "entry_path",
        "channel",
        "source",
        "country",
        "browser",
    )
    ordering = ("-started_at",)


@admin.register(View)
class ViewAdmin(ReadOnlyAdmin):
    list_display = ("id", "site", "at", "path", "visit_id")
    ordering = ("-at",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("id", "site", "at", "name", "view_id")
    ordering = ("-at",)


class RuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_select_related = ("site",)
    raw_id_fields = ("site",)
    show_full_result_count = False


@admin.register(Intake)
class IntakeAdmin(RuleAdmin):
    list_display = ("site", "hostnames", "excluded_networks", "respects_gpc", "respects_dnt", "has_hash_routes")
    search_fields = ("site__domain",)


@admin.register(SourceRule)
class SourceRuleAdmin(RuleAdmin):
    list_display = ("pattern", "site", "looks_at", "source", "channel")
    search_fields = ("site__domain", "pattern", "source")


@admin.register(Goal)
class GoalAdmin(RuleAdmin):
    """A goal's counts belong to its page or event, so it is saved and removed as on the site's own pages."""

    list_display = ("name", "site", "kind", "pattern")
    search_fields = ("site__domain", "name", "pattern")

    def save_model(self, request: HttpRequest, obj: Goal, form: Any, change: bool) -> None:
        goals.keep(obj)

    def delete_model(self, request: HttpRequest, obj: Goal) -> None:
        goals.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Goal]) -> None:
        for goal in queryset:
            goals.remove(goal)


@admin.register(EmailReport)
class EmailReportAdmin(RuleAdmin):
    list_display = ("email", "site", "every", "sent_through_on")
    readonly_fields = ("sent_through_on", "created_at")
    search_fields = ("site__domain", "email")
