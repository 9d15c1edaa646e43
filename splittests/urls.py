from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from splittests import api, definition_views, sharing_views, views

app_name = "splittests"

urlpatterns = [
    path("api/v1/sites/<domain:domain>/revenue/variants", api.variants, name="api-variants"),
    path("<domain:domain>/split-tests/", views.index, name="index"),
    path("<domain:domain>/split-tests/new/", definition_views.new, name="new"),
    path("<domain:domain>/split-tests/revenue/", views.revenue, name="revenue"),
    path("<domain:domain>/split-tests/export/revenue.csv", views.export_revenue, name="export-revenue"),
    path("<domain:domain>/split-tests/plan/", definition_views.plan, name="plan"),
    path("<domain:domain>/split-tests/<int:test_id>/", views.results, name="results"),
    path("<domain:domain>/split-tests/<int:test_id>/over-time/", views.over_time, name="over-time"),
    path("<domain:domain>/split-tests/<int:test_id>/breakdown/<slug:by>/", views.breakdown, name="breakdown"),
    path("<domain:domain>/split-tests/<int:test_id>/results.csv", views.export_csv, name="export-csv"),
    path("<domain:domain>/split-tests/<int:test_id>/results.json", views.export_json, name="export-json"),
    path("<domain:domain>/split-tests/<int:test_id>/share/", sharing_views.share, name="share"),
    path("<domain:domain>/split-tests/<int:test_id>/edit/", definition_views.edit, name="edit"),
    path("<domain:domain>/split-tests/<int:test_id>/change/", definition_views.change, name="change"),
    path("<domain:domain>/split-tests/<int:test_id>/checks/", definition_views.checks, name="checks"),
    path(
        "<domain:domain>/split-tests/<int:test_id>/preview/<int:variant_id>/", definition_views.preview, name="preview"
    ),
    path("<domain:domain>/split-tests/<int:test_id>/start/", definition_views.start, name="start"),
    path("<domain:domain>/split-tests/<int:test_id>/pause/", definition_views.pause, name="pause"),
    path("<domain:domain>/split-tests/<int:test_id>/archive/", definition_views.archive, name="archive"),
    path("<domain:domain>/split-tests/<int:test_id>/stop/", definition_views.stop, name="stop"),
]
