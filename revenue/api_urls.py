from django.urls import path

from revenue import api

PREFIX = "api/v1/sites/<domain:domain>/revenue"

urlpatterns = [
    path(f"{PREFIX}/figures", api.figures, name="api-figures"),
    path(f"{PREFIX}/series", api.series, name="api-series"),
    path(f"{PREFIX}/breakdown/<slug:name>", api.breakdown, name="api-breakdown"),
    path(f"{PREFIX}/coverage", api.coverage, name="api-coverage"),
    path(f"{PREFIX}/payments", api.payments, name="api-payments"),
]
