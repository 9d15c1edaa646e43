from django.urls import path

from tracking import api

PREFIX = "api/v1/sites/<domain:domain>"

urlpatterns = [
    path(f"{PREFIX}/live", api.live, name="api-live"),
    path(f"{PREFIX}/figures", api.figures, name="api-figures"),
    path(f"{PREFIX}/series", api.series, name="api-series"),
    path(f"{PREFIX}/breakdown/<slug:name>", api.breakdown, name="api-breakdown"),
]
