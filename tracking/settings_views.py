"""The settings of what is counted, of goals and of reports; for administrators of a site."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from sites.access import get_site_or_404
from sites.models import Role, Site
from tracking import goals as goals_of
from tracking import reports as reports_of
from tracking import sources
from tracking.forms import GoalForm, IntakeForm, ReportForm, SourceRuleForm
from tracking.models import EmailReport, Goal, SourceRule
from tracking.refusals import refused_lately
from tracking.visitors import client_ip


def intake(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = IntakeForm.of(site, request.POST or None)
    if form.is_valid():
        form.save()
        messages.success(request, "Saved. It holds for hits from now on.")
        return redirect("tracking:intake", domain)
    return _intake_page(request, site, form, SourceRuleForm(site))


@require_POST
def add_source_rule(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = SourceRuleForm(site, request.POST)
    if form.is_kept():
        rule = form.instance
        messages.success(request, f"Visits with {rule.pattern} come from “{rule.source}” from now on.")
        return redirect("tracking:intake", domain)
    return _intake_page(request, site, IntakeForm.of(site), form)


@require_POST
def remove_source_rule(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    rule = get_object_or_404(SourceRule, site=site, pk=number)
    rule.delete()
    messages.success(request, f"The rule for {rule.pattern} is removed. Visits that it named keep their source.")
    return redirect("tracking:intake", domain)


def _intake_page(request: HttpRequest, site: Site, form: IntakeForm, rule_form: SourceRuleForm) -> HttpResponse:
    context = {
        "site": site,
        "section": "settings",
        "form": form,
        "rule_form": rule_form,
        "rules": SourceRule.objects.filter(site=site),
        "rules_version": sources.VERSION,
        "refused": refused_lately(site, timezone.now()),
        # Shown to whom it belongs, and kept nowhere.
        "own_address": client_ip(
            request.META.get("REMOTE_ADDR", ""),
            request.headers.get("X-Forwarded-For", ""),
            settings.TRUSTED_PROXIES,
        ),
    }
    return render(request, "tracking/settings_tracking.html", context)


def goals(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = GoalForm(request.POST or None, instance=Goal(site=site))
    if form.is_kept():
        messages.success(request, f"“{form.instance}” is counted, also in the visits that are there already.")
        return redirect("tracking:goals", domain)
    context = {
        "site": site,
        "section": "settings",
        "form": form,
        "goals": goals_of.listed(site, timezone.now()),
    }
    return render(request, "tracking/settings_goals.html", context)


def goal_preview(request: HttpRequest, domain: str) -> HttpResponse:
    """How many have reached what the form on the page says, before it is saved."""
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = GoalForm({**request.GET.dict(), "name": "-"}, instance=Goal(site=site))
    form.is_valid()
    is_told = not form.errors.keys() & {"kind", "pattern"}
    visitors = goals_of.visitors_of(form.instance, timezone.now()) if is_told else None
    return render(request, "tracking/_goal_preview.html", {"goal": form.instance, "visitors": visitors})


def goal(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    found = get_object_or_404(Goal, site=site, pk=number)
    form = GoalForm(request.POST or None, instance=found)
    if form.is_kept():
        messages.success(request, "Saved.")
        return redirect("tracking:goals", domain)
    # The form has put into `found` what it was told, right or wrong.
    context = {"site": site, "section": "settings", "form": form, "number": number, "name": form.initial["name"]}
    return render(request, "tracking/settings_goal.html", context)


@require_POST
def remove_goal(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    found = get_object_or_404(Goal, site=site, pk=number)
    goals_of.remove(found)
    messages.success(request, f"“{found}” is removed.")
    return redirect("tracking:goals", domain)


def reports(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = ReportForm(site, request.POST or None)
    if form.is_kept():
        report = form.instance
        messages.success(request, f"{report.email} is sent a report as soon as this {report.every} has ended.")
        return redirect("tracking:reports", domain)
    context = {
        "site": site,
        "section": "settings",
        "form": form,
        "reports": EmailReport.objects.filter(site=site),
        "has_mail_server": settings.HAS_MAIL_SERVER,
    }
    return render(request, "tracking/settings_reports.html", context)


@require_POST
def remove_report(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    report = get_object_or_404(EmailReport, site=site, pk=number)
    report.delete()
    messages.success(request, f"{report.email} is sent this report no more.")
    return redirect("tracking:reports", domain)


@login_not_required
@csrf_exempt
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """End a report. Opening the page asks first, since programs open the links in mail to look for harm.

    The token is what permits it: mail programs that offer a button of their own send no cookie.
    """
    report = reports_of.report_of(token)
    is_ended = request.method == "POST"
    if report and is_ended:
        report.delete()
    response = render(request, "tracking/unsubscribe.html", {"report": report, "is_ended": is_ended or not report})
    response["Referrer-Policy"] = "strict-origin"
    response["Cache-Control"] = "private, no-store"
    return response
