import re

import pytest
from django.test import Client

from sites.models import AuditEntry, Membership, Role, ShareLink, Site
from splittests.models import SplitTest
from tests.factories import send_hit
from tests.splittests.selling import made


@pytest.fixture
def running(site: Site) -> SplitTest:
    text = {"selector": "h1", "action": "text", "name": "", "value": "Buy now!"}
    variants = ({"name": "Control"}, {"name": "Loud", "changes": [text]})
    test = made(*variants, site=site, name="Headline", pages=["/"], currency="eur")
    send_hit(site, variants=[test.variants.get(name="Loud").pk])
    return test


def page_of(test: SplitTest) -> str:
    return f"/{test.site.domain}/split-tests/{test.pk}/"


@pytest.mark.parametrize(("role", "status"), [(Role.EDITOR, 404), (Role.ADMIN, 200)])
def test_links_to_results_are_made_by_admins(owner_client: Client, running: SplitTest, role: Role, status: int) -> None:
    Membership.objects.update(role=role)
    address = f"{page_of(running)}share/"
    assert owner_client.get(address).status_code == status
    assert (address in owner_client.get(page_of(running)).content.decode()) == (status == 200)
    assert owner_client.post(address, {"name": "Board"}, follow=True).status_code == status
    assert ShareLink.objects.count() == int(status == 200)


def test_a_link_to_results_is_made_listed_noted_and_revoked(
    owner_client: Client, client: Client, running: SplitTest
) -> None:
    address = f"{page_of(running)}share/"
    asked = owner_client.get(address).content.decode()
    assert "Money is shown on it" in asked
    assert 'value="Headline"' in asked
    made = owner_client.post(address, {"name": "Board", "password": "open sesame"}, follow=True).content.decode()
    link = ShareLink.objects.get()
    listed = owner_client.get(f"/{running.site.domain}/settings/sharing/").content.decode()
    for page in (made, listed):
        assert f"http://localhost:8000/share/{link.token}/" in page
        assert "With a password" in page
        assert "open sesame" not in page
    assert "Results of a split test" in listed
    opened = client.post(f"/share/{link.token}/", {"password": "open sesame"})
    assert opened["Location"] == page_of(running)
    owner_client.post(f"/{running.site.domain}/settings/sharing/links/{link.pk}/revoke/")
    assert client.get(page_of(running)).status_code == 302
    told = f"Board: results of split test {running.pk}"
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("link_made", told),
        ("link_revoked", told),
    ]


def test_shared_results_are_whole_and_lead_to_nothing_else(
    owner_client: Client, client: Client, running: SplitTest
) -> None:
    owner_client.post(f"{page_of(running)}share/", {"name": "Board"})
    page = client.get(f"/share/{ShareLink.objects.get().token}/", follow=True)
    shown = page.content.decode()
    assert page["Cache-Control"] == "private, no-store"
    for text in ("Headline", "Loud", "Revenue per visitor", "Buy now!"):
        assert text in shown
    for nowhere in ("results.csv", "results.json", "/stop/", "/share/", "Humblytics.variant", "/settings/"):
        assert nowhere not in shown
    panels = set(re.findall(r'(?:href|hx-get)="(/shop[^"]*)"', shown))
    assert f"{page_of(running)}over-time/" in panels
    for panel in list(panels):
        answer = client.get(panel)
        panels |= set(re.findall(r'(?:href|hx-get)="(/[^"]*/breakdown/[^"]*)"', answer.content.decode()))
    assert f"{page_of(running)}breakdown/channel/" in panels
    failed = {each for each in panels if client.get(each).status_code != 200}
    assert failed == set()
