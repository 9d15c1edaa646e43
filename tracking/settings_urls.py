from django.urls import path

import sites.converters  # noqa: F401  registers <domain:…>
from tracking import settings_views as views

urlpatterns = [
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("<domain:domain>/settings/tracking/", views.intake, name="intake"),
    path("<domain:domain>/settings/tracking/rules/", views.add_source_rule, name="add-source-rule"),
    path(
        "<domain:domain>/settings/tracking/rules/<int:number>/remove/",
        views.remove_source_rule,
        name="remove-source-rule",
    ),
    path("<domain:domain>/settings/goals/", views.goals, name="goals"),
    path("<domain:domain>/settings/goals/preview/", views.goal_preview, name="goal-preview"),
    path("<domain:domain>/settings/goals/<int:number>/", views.goal, name="goal"),
    path("<domain:domain>/settings/goals/<int:number>/remove/", views.remove_goal, name="remove-goal"),
    path("<domain:domain>/settings/reports/", views.reports, name="reports"),
    path("<domain:domain>/settings/reports/<int:number>/remove/", views.remove_report, name="remove-report"),
]
