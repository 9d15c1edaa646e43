from django.urls import path

import revenue.converters  # noqa: F401  registers <revenue-panel:…>
import sites.converters  # noqa: F401  registers <domain:…>
from revenue import api_urls, settings_urls, views

app_name = "revenue"

urlpatterns = [
    *settings_urls.urlpatterns,
    *api_urls.urlpatterns,
    path("<domain:domain>/revenue/", views.dashboard, name="dashboard"),
    path("<domain:domain>/revenue/as-of/", views.as_of, name="as-of"),
    path("<domain:domain>/revenue/headline/", views.headline, name="headline"),
    path("<domain:domain>/revenue/totals/", views.totals, name="totals"),
    path("<domain:domain>/revenue/over-time/", views.over_time, name="over-time"),
    path("<domain:domain>/revenue/changes/", views.changes, name="changes"),
    path("<domain:domain>/revenue/export/changes.csv", views.export_changes, name="export-changes"),
    path("<domain:domain>/revenue/coverage/", views.coverage, name="coverage"),
    path("<domain:domain>/revenue/payments/", views.payments, name="payments"),
    path("<domain:domain>/revenue/payments/<slug:charge>/", views.payment, name="payment"),
    path("<domain:domain>/revenue/export/payments.csv", views.export_payments, name="export-payments"),
    path("<domain:domain>/revenue/export/over-time.csv", views.export_over_time, name="export-over-time"),
    path("<domain:domain>/revenue/details/<revenue-panel:name>/", views.details, name="details"),
    path("<domain:domain>/revenue/export/<revenue-panel:name>.csv", views.export_panel, name="export-panel"),
    path("<domain:domain>/revenue/<revenue-panel:name>/", views.panel, name="panel"),
]
