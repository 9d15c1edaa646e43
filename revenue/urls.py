from django.urls import path

import revenue.converters  # noqa: F401  registers <revenue-panel:…>
import sites.converters  # noqa: F401  registers <domain:…>
from revenue import settings_urls, views

app_name = "revenue"

urlpatterns = [
    *settings_urls.urlpatterns,
    path("<domain:domain>/revenue/", views.dashboard, name="dashboard"),
    path("<domain:domain>/revenue/as-of/", views.as_of, name="as-of"),
    path("<domain:domain>/revenue/headline/", views.headline, name="headline"),
    path("<domain:domain>/revenue/totals/", views.totals, name="totals"),
    path("<domain:domain>/revenue/by-day/", views.by_day, name="by-day"),
    path("<domain:domain>/revenue/payments/", views.payments, name="payments"),
    path("<domain:domain>/revenue/payments/<slug:charge>/", views.payment, name="payment"),
    path("<domain:domain>/revenue/export/payments.csv", views.export_payments, name="export-payments"),
    path("<domain:domain>/revenue/details/<revenue-panel:name>/", views.details, name="details"),
    path("<domain:domain>/revenue/export/<revenue-panel:name>.csv", views.export_panel, name="export-panel"),
    path("<domain:domain>/revenue/<revenue-panel:name>/", views.panel, name="panel"),
]
