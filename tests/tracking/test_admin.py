import datetime as dt
import uuid

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from sites.models import Site
from tests.factories import SiteFactory, send_hit
from tracking.models import DailySalt, EmailReport, Goal, Intake, Presence, SourceRule, View, Visit


@pytest.mark.parametrize("model", ["visit", "view", "event"])
def test_admin_lists_can_be_opened(admin_client: Client, site: Site, model: str) -> None:
    send_hit(site)
    assert admin_client.get(f"/admin/tracking/{model}/?days=30&site__id__exact={site.pk}").status_code == 200


def test_admin_shows_the_last_day_unless_asked_for_more(admin_client: Client, site: Site) -> None:
    send_hit(site, "/today")
    send_hit(site, "/earlier", at=timezone.now() - dt.timedelta(days=3))

    def listed(query: str) -> list[str]:
        changelist = admin_client.get(f"/admin/tracking/visit/{query}").context["cl"]
        return [visit.entry_path for visit in changelist.result_list]

    assert listed("") == ["/today"]
    assert listed("?days=7") == ["/today", "/earlier"]
    assert listed("?days=nonsense") == ["/today"]
    assert listed(f"?days=7&site__id__exact={SiteFactory().pk}") == []


def test_admin_finds_a_view_by_its_id_whenever_it_was(admin_client: Client, site: Site) -> None:
    view_id = send_hit(site, "/earlier", at=timezone.now() - dt.timedelta(days=400))

    def found(text: str) -> list[uuid.UUID]:
        changelist = admin_client.get("/admin/tracking/view/", {"q": text}).context["cl"]
        return [view.id for view in changelist.result_list]

    assert found(str(view_id)) == [view_id]
    assert found(f" {view_id.hex} ") == [view_id]
    assert found(str(uuid.uuid4())) == found("x") == []


@pytest.mark.parametrize("model", [Visit, View])
def test_admin_questions_name_the_sites(admin_client: Client, site: Site, model: type[Visit] | type[View]) -> None:
    queryset = admin.site.get_model_admin(model).get_queryset(admin_client.get("/admin/").wsgi_request)
    assert f'"site_id" IN ({site.pk})' in str(queryset.query)


def test_admin_changes_nothing(admin_client: Client, site: Site) -> None:
    send_hit(site)
    visit = Visit.objects.get()
    assert admin_client.get(f"/admin/tracking/visit/{visit.pk}/change/").status_code == 200
    assert admin_client.post(f"/admin/tracking/visit/{visit.pk}/change/", {"views": "9"}).status_code == 403
    assert admin_client.post(f"/admin/tracking/visit/{visit.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get("/admin/tracking/visit/add/").status_code == 403


def test_admin_lists_what_owners_have_said_in_few_queries(
    admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        site = SiteFactory()
        Intake.objects.create(site=site, hostnames=["www.shop.example"])
        SourceRule.objects.create(site=site, pattern="partner.example", source="Partner")
        Goal.objects.create(site=site, name="Order", pattern="/thanks")
        EmailReport.objects.create(site=site, email="reader@example.com")
    for model, search in (("intake", ""), ("sourcerule", "Partner"), ("goal", "thanks"), ("emailreport", "reader")):
        with django_assert_max_num_queries(8):
            response = admin_client.get(f"/admin/tracking/{model}/", {"q": search})
        assert response.context["cl"].result_count == 20


def test_admin_changes_a_rule(admin_client: Client, site: Site) -> None:
    rule = SourceRule.objects.create(site=site, pattern="partner.example", source="Partner")
    data = {"site": site.pk, "looks_at": "referrer", "pattern": "partner.example", "source": "Friend", "channel": ""}
    assert admin_client.post(f"/admin/tracking/sourcerule/{rule.pk}/change/", data).status_code == 302
    rule.refresh_from_db()
    assert rule.source == "Friend"


def test_admin_refuses_what_is_no_network(admin_client: Client, site: Site) -> None:
    response = admin_client.post("/admin/tracking/intake/add/", {"site": site.pk, "excluded_networks": "me"})
    assert "Item 1 in the array did not validate" in response.content.decode()
    assert not Intake.objects.exists()


def test_admin_never_shows_a_salt() -> None:
    assert not admin.site.is_registered(DailySalt)
    assert not admin.site.is_registered(Presence)
