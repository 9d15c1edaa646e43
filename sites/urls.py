from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from sites import sharing_views, views

app_name = "sites"

urlpatterns = [
    path("", views.index, name="index"),
    path("sites/new/", views.new, name="new"),
    path("share/<slug:token>/", sharing_views.open_share, name="open-share"),
    path("<domain:domain>/settings/", views.settings, name="settings"),
    path("<domain:domain>/settings/log/", views.log, name="log"),
    path("<domain:domain>/settings/sharing/", sharing_views.sharing, name="sharing"),
    path("<domain:domain>/settings/sharing/links/", sharing_views.add_link, name="add-link"),
    path("<domain:domain>/settings/sharing/links/<int:number>/revoke/", sharing_views.revoke_link, name="revoke-link"),
    path("<domain:domain>/settings/sharing/tokens/", sharing_views.add_token, name="add-token"),
    path(
        "<domain:domain>/settings/sharing/tokens/<int:number>/revoke/", sharing_views.revoke_token, name="revoke-token"
    ),
]
