import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sites.models import Role, Site, User


def added(*arguments: str) -> str:
    out = StringIO()
    call_command("add_site", *arguments, stdout=out)
    return out.getvalue()


def test_add_site_prints_the_script_tag(db: None) -> None:
    output = added("https://www.Shop.example/", "--timezone", "Europe/Berlin")
    site = Site.objects.get()
    assert (site.domain, site.timezone) == ("shop.example", "Europe/Berlin")
    assert output == f'<script src="http://localhost:8000/js/{site.key}.js"></script>\n'


def test_a_new_owner_gets_a_password_that_is_printed(db: None) -> None:
    output = added("shop.example", "--owner", "Anna@Example.com")
    user = User.objects.get(email="anna@example.com")
    found = re.search(r"password (\S+) ", output)
    assert found
    assert user.check_password(found[1])
    assert user.memberships.get().role == Role.OWNER
    assert not user.is_staff


def test_a_known_owner_keeps_their_password(owner: User) -> None:
    assert "password" not in added("shop.example", "--owner", "OWNER@example.com")
    assert owner.memberships.get().site.domain == "shop.example"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["shop.example"], 1, "domain: This domain is already counted here.", id="known domain"),
        pytest.param(["localhost"], 2, "domain: There is no domain in “localhost”.", id="no domain"),
        pytest.param(["new.example", "--timezone", "Mars"], 2, "timezone: “Mars” is not a time zone.", id="time zone"),
    ],
)
def test_what_cannot_be_added_is_told_in_a_sentence(site: Site, arguments: list[str], code: int, sentence: str) -> None:
    with pytest.raises(CommandError, match=f"^{sentence}") as raised:
        added(*arguments, "--owner", "new@example.com")
    assert raised.value.returncode == code
    assert not User.objects.filter(email="new@example.com").exists()


def test_an_owner_that_is_no_e_mail_address_is_bad_usage(db: None) -> None:
    with pytest.raises(CommandError, match="“anna” is not an e-mail address"):
        added("shop.example", "--owner", "anna")
