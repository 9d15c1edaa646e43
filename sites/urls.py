from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from sites import views

app_name = "sites"

urlpatterns = [
    path("", views.index, name="index"),
    path("sites/new/", views.new, name="new"),
    path("<domain:domain>/settings/", views.settings, name="settings"),
]
