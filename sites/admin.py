from collections.abc import Iterator
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import get_text_list

from sites.access import signed_in
from sites.audit import Action, note
from sites.large_lists import BoundedPaginator
from sites.models import ApiToken, AuditEntry, Invitation, Membership, ShareLink, Site, SiteDeletion, User

# allauth's own would show the secrets of second factors, and addresses that nobody logs in with.
admin.site.unregister([Authenticator, EmailAddress])


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Notes what is changed here in the audit log, by the names of the fields; their values are not told."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._note(request, Action.ADDED, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._note(request, Action.CHANGED, obj, get_text_list([str(each) for each in _changed(message)], "and"))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._note(request, Action.DELETED, obj)
        return super().log_deletions(request, queryset)

    def _note(self, request: HttpRequest, action: Action, obj: Model, what: str = "") -> None:
        site = obj if isinstance(obj, Site) else getattr(obj, "site", None)
        subject = f"{obj._meta.verbose_name} {_described(obj)}"
        note(signed_in(request), action, site, f"{subject}: {what}" if what else subject)


def _described(obj: Model) -> str:
    return f"{obj}, {obj.get_role_display()}" if isinstance(obj, Membership) else str(obj)


def _changed(message: Any) -> Iterator[str]:
    """Name what the admin says was changed: fields, and memberships that were edited with their site."""
    for part in message if isinstance(message, list) else []:
        for action, told in part.items():
            fields = ", ".join(told.get("fields", []))
            yield " ".join(filter(None, [action, told.get("name", ""), told.get("object", ""), fields]))


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    raw_id_fields = ("user",)
    extra = 0


@admin.register(User)
class EmailUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's own, for users who are known by their e-mail address."""

    ordering = ("email",)
    list_display = ("email", "is_staff", "is_active", "last_login")
    search_fields = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)


@admin.register(Site)
class SiteAdmin(AuditedAdmin):
    list_display = ("domain", "timezone", "key", "created_at")
    search_fields = ("domain", "key")
    readonly_fields = ("key", "created_at")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Site | None = None) -> bool:
        # Its owner does it under Settings, whoever runs the installation by `manage.py delete_site`.
        return False


@admin.register(SiteDeletion)
class SiteDeletionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is under way; the log says who asked for it."""

    list_display = ("domain", "removed_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SiteDeletion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SiteDeletion | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    list_display = ("site", "user", "role")
    list_filter = ("role",)
    list_select_related = ("site", "user")
    raw_id_fields = ("site", "user")
    search_fields = ("site__domain", "user__email")


class SecretAdmin(AuditedAdmin):
    """What opens a site: who made it and when, never the secret itself; to delete it is to revoke it."""

    list_select_related = ("site",)
    search_fields = ("site__domain", "name")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(ShareLink)
class ShareLinkAdmin(SecretAdmin):
    list_display = ("name", "site", "split_test_id", "has_password", "created_at")
    fields = ("site", "name", "split_test_id", "has_password", "created_at")

    @admin.display(boolean=True)
    def has_password(self, link: ShareLink) -> bool:
        return bool(link.password)


@admin.register(ApiToken)
class ApiTokenAdmin(SecretAdmin):
    list_display = ("name", "site", "scope", "hint", "created_at", "used_at")
    list_filter = ("scope",)
    fields = ("site", "name", "scope", "hint", "created_at", "used_at")


@admin.register(Invitation)
class InvitationAdmin(SecretAdmin):
    list_display = ("email", "site", "role", "invited_by", "sent_at", "expires_at")
    search_fields = ("site__domain", "email")
    fields = ("site", "email", "role", "invited_by", "sent_at", "expires_at")


@admin.register(Authenticator)
class AuthenticatorAdmin(SecretAdmin):
    """Deleting one lets its user log in without it: for who has lost it, and the recovery codes too."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email", "type")
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read only, as the table itself is."""

    list_display = ("at", "actor", "action", "domain", "subject")
    list_filter = ("action",)
    search_fields = ("domain__exact", "actor__exact")
    search_help_text = "A whole domain or e-mail address."
    ordering = ("-pk",)
    list_per_page = 50
    paginator = BoundedPaginator
    sortable_by = ()
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
