from django.contrib import admin
from django.urls import include, path, re_path

from humblytics import api, health, help_views
from humblytics.metrics import metrics
from sites.accounts.views import log_in_to_admin
from splittests import script_views

# Its own form would ask for no second factor.
admin.site.login = log_in_to_admin  # type: ignore[assignment,method-assign]
admin.site.site_header = admin.site.site_title = "Humblytics administration"

urlpatterns = [
    path("js/<slug:key>.js", script_views.tracker, name="tracker"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("sites.accounts.urls")),
    path("admin/", admin.site.urls),
    path("help/", help_views.help_index, name="help-index"),
    path("help/<slug:slug>/", help_views.help_topic, name="help"),
    path("", include("sites.urls")),
    path("", include("tracking.urls")),
    path("", include("revenue.urls")),
    path("", include("splittests.urls")),
    path("api/v1/openapi.json", api.openapi, name="openapi"),
    # After all that there is.
    re_path(r"^api/[\s\S]*$", api.nothing, name="no-api"),
]
