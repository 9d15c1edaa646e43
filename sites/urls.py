from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from sites import members_views, sharing_views, views

app_name = "sites"

urlpatterns = [
    path("", views.index, name="index"),
    path("sites/new/", views.new, name="new"),
    path("share/<slug:token>/", sharing_views.open_share, name="open-share"),
    path("invitation/<slug:token>/", members_views.join, name="join"),
    path("<domain:domain>/leave/", members_views.leave, name="leave"),
    path("<domain:domain>/settings/", views.settings, name="settings"),
    path("<domain:domain>/settings/delete/", views.delete, name="delete"),
    path("<domain:domain>/settings/members/", members_views.members, name="members"),
    path("<domain:domain>/settings/members/<int:number>/role/", members_views.change_role, name="change-role"),
    path("<domain:domain>/settings/members/<int:number>/remove/", members_views.remove, name="remove-member"),
    path("<domain:domain>/settings/members/invitations/", members_views.invite, name="invite"),
    path(
        "<domain:domain>/settings/members/invitations/<int:number>/resend/",
        members_views.resend_invitation,
        name="resend-invitation",
    ),
    path(
        "<domain:domain>/settings/members/invitations/<int:number>/revoke/",
        members_views.revoke_invitation,
        name="revoke-invitation",
    ),
    path("<domain:domain>/settings/log/", views.log, name="log"),
    path("<domain:domain>/settings/sharing/", sharing_views.sharing, name="sharing"),
    path("<domain:domain>/settings/sharing/links/", sharing_views.add_link, name="add-link"),
    path("<domain:domain>/settings/sharing/links/<int:number>/revoke/", sharing_views.revoke_link, name="revoke-link"),
    path("<domain:domain>/settings/sharing/tokens/", sharing_views.add_token, name="add-token"),
    path(
        "<domain:domain>/settings/sharing/tokens/<int:number>/revoke/", sharing_views.revoke_token, name="revoke-token"
    ),
]
