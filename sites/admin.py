from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest

from sites.models import ApiToken, Membership, ShareLink, Site, User


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    raw_id_fields = ("user",)
    extra = 0


@admin.register(User)
class EmailUserAdmin(UserAdmin):  # type: ignore[type-arg]
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
class SiteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("domain", "timezone", "key", "created_at")
    search_fields = ("domain", "key")
    readonly_fields = ("key", "created_at")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Site | None = None) -> bool:
        # It would take every visit and payment decision of the site with it, collected in memory first.
        return False


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("site", "user", "role")
    list_filter = ("role",)
    list_select_related = ("site", "user")
    raw_id_fields = ("site", "user")
    search_fields = ("site__domain", "user__email")


class SecretAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
    list_display = ("name", "site", "has_password", "created_at")
    fields = ("site", "name", "has_password", "created_at")

    @admin.display(boolean=True)
    def has_password(self, link: ShareLink) -> bool:
        return bool(link.password)


@admin.register(ApiToken)
class ApiTokenAdmin(SecretAdmin):
    list_display = ("name", "site", "scope", "hint", "created_at", "used_at")
    list_filter = ("scope",)
    fields = ("site", "name", "scope", "hint", "created_at", "used_at")
