from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
import tracking.converters  # noqa: F401  registers <panel:…>
from tracking import api_urls, settings_urls, views

app_name = "tracking"

urlpatterns = [
    *settings_urls.urlpatterns,
    *api_urls.urlpatterns,
    path("<domain:domain>/", views.dashboard, name="dashboard"),
    path("<domain:domain>/first-hit/", views.first_hit, name="first-hit"),
    path("<domain:domain>/live-visitors/", views.live_visitors, name="live-visitors"),
    path("<domain:domain>/last-days/", views.last_days, name="last-days"),
    path("<domain:domain>/suggestions/", views.suggestions, name="suggestions"),
    path("<domain:domain>/export/over-time.csv", views.export_over_time, name="export-over-time"),
    path("<domain:domain>/export/<panel:name>.csv", views.export_panel, name="export-panel"),
    path("<domain:domain>/details/<panel:name>/", views.details, name="details"),
    path("<domain:domain>/<panel:name>/", views.panel, name="panel"),
]
