from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from sites.models import Membership, Site, User


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
