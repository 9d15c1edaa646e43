from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path

from humblytics import api, health
from humblytics.metrics import metrics
from sites import views as site_views
from splittests import script_views

admin.site.site_header = admin.site.site_title = "Humblytics administration"

urlpatterns = [
    path("js/<slug:key>.js", script_views.tracker, name="tracker"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("login/", site_views.log_in, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("", include("sites.urls")),
    path("", include("tracking.urls")),
    path("", include("revenue.urls")),
    path("", include("splittests.urls")),
    path("api/v1/openapi.json", api.openapi, name="openapi"),
    # After all that there is.
    re_path(r"^api/[\s\S]*$", api.nothing, name="no-api"),
]
