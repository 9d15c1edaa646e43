from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from revenue import settings_views as views

urlpatterns = [
    path("<domain:domain>/settings/revenue/", views.settings, name="settings"),
    path("<domain:domain>/settings/revenue/health/", views.health, name="health"),
    path("<domain:domain>/settings/revenue/steps/", views.steps, name="steps"),
    path("<domain:domain>/settings/revenue/method/", views.method, name="method"),
    path("<domain:domain>/settings/revenue/attribution/", views.attribution, name="attribution"),
    path("<domain:domain>/settings/revenue/alerts/", views.alerts, name="alerts"),
    path("<domain:domain>/settings/revenue/<int:number>/", views.standing, name="standing"),
    path("<domain:domain>/settings/revenue/<int:number>/sync/", views.sync, name="sync"),
    path("<domain:domain>/settings/revenue/<int:number>/check/", views.check, name="check"),
    path("<domain:domain>/settings/revenue/<int:number>/replace/", views.replace, name="replace"),
    path("<domain:domain>/settings/revenue/<int:number>/disconnect/", views.disconnect, name="disconnect"),
]
