from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from revenue import views

app_name = "revenue"

urlpatterns = [
    path("<domain:domain>/revenue/", views.dashboard, name="dashboard"),
    path("<domain:domain>/revenue/as-of/", views.as_of, name="as-of"),
    path("<domain:domain>/revenue/headline/", views.headline, name="headline"),
    path("<domain:domain>/revenue/totals/", views.totals, name="totals"),
    path("<domain:domain>/revenue/by-day/", views.by_day, name="by-day"),
    path("<domain:domain>/revenue/channels/", views.channels, name="channels"),
    path("<domain:domain>/revenue/sources/", views.sources, name="sources"),
    path("<domain:domain>/revenue/referrers/", views.referrers, name="referrers"),
    path("<domain:domain>/revenue/campaigns/", views.campaigns, name="campaigns"),
    path("<domain:domain>/revenue/landing-pages/", views.landing_pages, name="landing-pages"),
    path("<domain:domain>/revenue/purchase-pages/", views.purchase_pages, name="purchase-pages"),
    path("<domain:domain>/revenue/countries/", views.countries, name="countries"),
    path("<domain:domain>/revenue/browsers/", views.browsers, name="browsers"),
    path("<domain:domain>/revenue/operating-systems/", views.operating_systems, name="operating-systems"),
    path("<domain:domain>/revenue/devices/", views.devices, name="devices"),
    path("<domain:domain>/revenue/payments/", views.payments, name="payments"),
    path("<domain:domain>/settings/revenue/", views.settings, name="settings"),
    path("<domain:domain>/settings/revenue/attribution/", views.attribution, name="attribution"),
    path("<domain:domain>/settings/revenue/<int:number>/sync/", views.sync, name="sync"),
    path("<domain:domain>/settings/revenue/<int:number>/disconnect/", views.disconnect, name="disconnect"),
]
