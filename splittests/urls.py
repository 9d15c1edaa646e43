from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from splittests import views

app_name = "splittests"

urlpatterns = [
    path("<domain:domain>/split-tests/", views.index, name="index"),
    path("<domain:domain>/split-tests/new/", views.new, name="new"),
    path("<domain:domain>/split-tests/<int:test_id>/", views.results, name="results"),
    path("<domain:domain>/split-tests/<int:test_id>/start/", views.start, name="start"),
    path("<domain:domain>/split-tests/<int:test_id>/stop/", views.stop, name="stop"),
]
