import pytest
from django.core.exceptions import ValidationError

from sites.forms import SettingsForm, SiteForm, bare_domain
from sites.models import Membership, Role, Site, User


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        pytest.param("example.com", "example.com", id="a domain"),
        pytest.param("https://www.Example.com/path?q=1#top", "example.com", id="an address"),
        pytest.param("  Example.COM.  ", "example.com", id="spaces, capitals and the final dot"),
        pytest.param("example.com:8443/x", "example.com", id="a port"),
        pytest.param("shop.www.example.com", "shop.www.example.com", id="www inside"),
        pytest.param("www.com", "www.com", id="www itself"),
        pytest.param("münchen.example", "xn--mnchen-3ya.example", id="umlaut"),
    ],
)
def test_the_domain_is_found_in_what_is_pasted(text: str, domain: str) -> None:
    assert bare_domain(text) == domain


@pytest.mark.parametrize("text", ["", "localhost", "https://", "http:/example.com", "[::1", "javascript:x", "a" * 300])
def test_text_without_a_domain_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="There is no domain in"):
        bare_domain(text)


@pytest.mark.parametrize("text", ["exa mple.com", "-example.com", "ex_ample.com", "a..com", "<b>.com"])
def test_a_host_that_cannot_be_one_is_refused(text: str, db: None) -> None:
    assert "domain" in SiteForm({"domain": text, "timezone": "UTC"}).errors


def test_a_new_site_belongs_to_who_adds_it(owner: User) -> None:
    site = SiteForm({"domain": "https://www.new.example/", "timezone": "Asia/Tokyo"}).add(owner)
    assert (site.domain, site.timezone) == ("new.example", "Asia/Tokyo")
    assert Membership.objects.get(site=site, user=owner).role == Role.OWNER


def test_a_domain_is_added_once(site: Site) -> None:
    form = SiteForm({"domain": "www.shop.example", "timezone": "UTC"})
    assert form.errors == {"domain": ["This domain is already counted here."]}


def test_an_unknown_time_zone_is_refused(site: Site) -> None:
    form = SettingsForm({"timezone": "Mars/Base"}, instance=site)
    assert form.errors == {"timezone": ["“Mars/Base” is not a time zone. Use a name such as Europe/Berlin."]}
