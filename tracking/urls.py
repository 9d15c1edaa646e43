from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from tracking import views

app_name = "tracking"

urlpatterns = [
    path("<domain:domain>/", views.dashboard, name="dashboard"),
    path("<domain:domain>/first-hit/", views.first_hit, name="first-hit"),
    path("<domain:domain>/live-visitors/", views.live_visitors, name="live-visitors"),
    path("<domain:domain>/last-days/", views.last_days, name="last-days"),
    path("<domain:domain>/top-pages/", views.top_pages, name="top-pages"),
    path("<domain:domain>/entry-pages/", views.entry_pages, name="entry-pages"),
    path("<domain:domain>/channels/", views.channels, name="channels"),
    path("<domain:domain>/sources/", views.sources, name="sources"),
    path("<domain:domain>/referrers/", views.referrers, name="referrers"),
    path("<domain:domain>/campaigns/", views.campaigns, name="campaigns"),
    path("<domain:domain>/countries/", views.countries, name="countries"),
    path("<domain:domain>/browsers/", views.browsers, name="browsers"),
    path("<domain:domain>/operating-systems/", views.operating_systems, name="operating-systems"),
    path("<domain:domain>/devices/", views.devices, name="devices"),
]
