"""Who did what is written down where it was done, and the database lets nobody change it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from sites.audit import COMMAND_LINE, Action, note
from sites.models import ApiToken, AuditEntry, Membership, Role, ShareLink, Site, User
from sites.sharing import share
from sites.tokens import issue
from tests.factories import MembershipFactory, UserFactory, send_hit
from tests.test_conventions import OF_A_SITE

PAGE = "/shop.example/settings/log/"
SHARING = "/shop.example/settings/sharing/"


def noted() -> list[tuple[str, str, str, str]]:
    """Actor, action, domain and subject of each entry."""
    return list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "domain", "subject"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sites_auditentry SET actor = 'somebody else'",
        "DELETE FROM sites_auditentry",
        "TRUNCATE sites_auditentry",
        "INSERT INTO sites_auditentry SELECT * FROM sites_auditentry ON CONFLICT (id) DO UPDATE SET actor = 'x'",
    ],
)
def test_the_database_refuses_to_change_the_log(site: Site, owner: User, statement: str) -> None:
    note(owner, Action.TOKEN_MADE, site, "Shop")
    before = list(AuditEntry.objects.values())
    with connection.cursor() as cursor:
        # Only for other tests it is off.
        cursor.execute("ALTER TABLE sites_auditentry ENABLE TRIGGER refuse_truncate")
        with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
            cursor.execute(statement)
    assert list(AuditEntry.objects.values()) == before


def test_the_log_outlives_its_site_and_who_wrote_it(site: Site, owner: User) -> None:
    note(owner, Action.TOKEN_MADE, site, "Shop")
    site.delete()
    owner.delete()
    assert noted() == [("owner@example.com", "token_made", "shop.example", "Shop")]


def test_links_and_tokens_are_noted_without_what_they_open(owner_client: Client, site: Site) -> None:
    owner_client.post(f"{SHARING}links/", {"link-name": "Board", "link-password": "correct horse"})
    link = ShareLink.objects.get()
    owner_client.post(reverse("sites:revoke-link", args=[site.domain, link.pk]))
    page = owner_client.post(f"{SHARING}tokens/", {"token-name": "Sheet", "token-scope": "traffic"}).content.decode()
    token = ApiToken.objects.get()
    owner_client.post(reverse("sites:revoke-token", args=[site.domain, token.pk]))
    who, domain = "owner@example.com", site.domain
    assert noted() == [
        (who, "link_made", domain, "Board"),
        (who, "link_revoked", domain, "Board"),
        (who, "token_made", domain, f"Sheet (…{token.hint}): Read traffic"),
        (who, "token_revoked", domain, f"Sheet (…{token.hint})"),
    ]
    secrets = [link.token, "correct horse", page.partition("hl_")[2][:43]]
    assert not any(secret in str(noted()) for secret in secrets)


def test_what_was_refused_is_not_noted(owner_client: Client, site: Site) -> None:
    owner_client.post(f"{SHARING}links/", {"link-name": ""})
    owner_client.post(f"{SHARING}tokens/", {"token-name": "x", "token-scope": "everything"})
    owner_client.post("/sites/new/", {"domain": "", "timezone": "UTC"})
    assert noted() == []


def test_a_new_site_is_noted(owner_client: Client) -> None:
    owner_client.post("/sites/new/", {"domain": "new.example", "timezone": "UTC"})
    call_command("add_site", "other.example", "--owner", "owner@example.com")
    assert noted() == [
        ("owner@example.com", "site_added", "new.example", ""),
        (COMMAND_LINE, "site_added", "other.example", "owner owner@example.com"),
    ]


def test_every_file_that_is_taken_is_noted_and_nothing_else(owner_client: Client, client: Client, site: Site) -> None:
    send_hit(site)
    assert {route.name for route in OF_A_SITE if getattr(route.view, "is_exporting", False)} == {
        route.name for route in OF_A_SITE if route.name.partition(":")[2].startswith("export-")
    }
    owner_client.get("/shop.example/")
    owner_client.get("/shop.example/channels/")
    owner_client.get("/shop.example/export/channels.csv?from=2026-01-01&to=2026-01-31")
    client.get(reverse("sites:open-share", args=[share(site, "Board", "").token]))
    client.get("/shop.example/export/pages.csv")
    client.get("/shop.example/export/top-pages.csv?from=2026-01-01&to=2026-01-31")
    assert noted() == [
        ("owner@example.com", "exported", "shop.example", "shop.example_channels_2026-01-01_2026-01-31.csv"),
        ("share link", "exported", "shop.example", "shop.example_top-pages_2026-01-01_2026-01-31.csv"),
    ]


def test_looking_at_pages_writes_nothing(owner_client: Client, site: Site) -> None:
    send_hit(site)
    for route in OF_A_SITE:
        if not getattr(route.view, "is_exporting", False):
            owner_client.get(route.address(site.domain))
    assert noted() == []


def change_role(admin_client: Client, membership: Membership) -> None:
    address = reverse("admin:sites_membership_change", args=[membership.pk])
    admin_client.post(address, {"site": membership.site_id, "user": membership.user_id, "role": Role.VIEWER})


def add_member(admin_client: Client, membership: Membership) -> None:
    user = UserFactory(email="new@example.com")
    told = {"site": membership.site_id, "user": user.pk, "role": Role.ADMIN}
    admin_client.post(reverse("admin:sites_membership_add"), told)


def remove_member(admin_client: Client, membership: Membership) -> None:
    admin_client.post(reverse("admin:sites_membership_delete", args=[membership.pk]), {"post": "yes"})


def change_role_with_the_site(admin_client: Client, membership: Membership) -> None:
    form = {
        "domain": membership.site.domain, "timezone": "Europe/Berlin", "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1, "memberships-0-id": membership.pk, "memberships-0-site": membership.site_id,
        "memberships-0-user": membership.user_id, "memberships-0-role": Role.EDITOR,
    }  # fmt: skip
    admin_client.post(reverse("admin:sites_site_change", args=[membership.site_id]), form)


def revoke_token(admin_client: Client, membership: Membership) -> None:
    issue(membership.site, "Sheet")
    listed = reverse("admin:sites_apitoken_changelist")
    selected = ApiToken.objects.get().pk
    admin_client.post(listed, {"action": "delete_selected", "_selected_action": selected, "post": "yes"})


@pytest.mark.parametrize(
    ("act", "action", "subject"),
    [
        pytest.param(
            change_role, "changed", "membership owner@example.com on shop.example, Viewer: changed Role", id="role"
        ),
        pytest.param(add_member, "added", "membership new@example.com on shop.example, Admin", id="member"),
        pytest.param(remove_member, "deleted", "membership owner@example.com on shop.example, Owner", id="removed"),
        pytest.param(
            change_role_with_the_site,
            "changed",
            "site shop.example: changed Time zone and changed membership owner@example.com on shop.example Role",
            id="with-the-site",
        ),
        pytest.param(revoke_token, "deleted", "API token Sheet (…", id="token"),
    ],
)
def test_what_is_changed_in_the_admin_is_noted(
    admin_client: Client, site: Site, act: Callable[[Client, Membership], None], action: str, subject: str
) -> None:
    act(admin_client, Membership.objects.get())
    [(who, done, domain, told)] = noted()
    assert (who, done, domain) == ("admin@example.com", action, "shop.example")
    assert told.lower().startswith(subject.lower())


def test_a_password_that_is_changed_in_the_admin_is_not_told(admin_client: Client, owner: User) -> None:
    address = reverse("admin:auth_user_password_change", args=[owner.pk])
    new = "a new correct horse"
    admin_client.post(address, {"password1": new, "password2": new, "usable_password": "true"})
    [(_, done, _, told)] = noted()
    assert done == "changed"
    assert "owner@example.com" in told
    assert new not in told


def test_the_settings_show_the_site_s_own_log(owner_client: Client, site: Site, owner: User) -> None:
    assert "Nothing has been done yet" in owner_client.get(PAGE).content.decode()
    other = MembershipFactory(user=owner, site__domain="other.example").site
    note(owner, Action.TOKEN_MADE, other, "Elsewhere")
    note(COMMAND_LINE, Action.KEY_SET, site, "<b>acct_1</b>")
    page = owner_client.get(PAGE).content.decode()
    assert "Set a Stripe key" in page
    assert "command line" in page
    assert "&lt;b&gt;acct_1&lt;/b&gt;" in page
    assert "Elsewhere" not in page


@pytest.mark.parametrize("role", Role)
def test_the_log_is_for_admins_of_the_site(owner_client: Client, site: Site, role: Role) -> None:
    Membership.objects.update(role=role)
    assert owner_client.get(PAGE).status_code == (200 if role >= Role.ADMIN else 404)


def test_a_long_log_comes_in_pages_in_one_question_each(
    owner_client: Client, site: Site, owner: User, django_assert_max_num_queries: Any
) -> None:
    for n in range(101):
        note(owner, Action.EXPORTED, site, f"file-{n}.csv")
    page, seen = PAGE, []
    for _ in range(3):
        with django_assert_max_num_queries(6):
            shown = owner_client.get(page).content.decode()
        seen.append(shown.count("Took a file"))
        page = f"{PAGE}?before={shown.partition('?before=')[2].partition(chr(34))[0]}"
    assert seen == [50, 50, 1]
    assert "Earlier" not in shown
    for nonsense in ("-1", "x", "9" * 40, "²"):
        assert "file-100.csv" in owner_client.get(f"{PAGE}?before={nonsense}").content.decode()
    assert "There is nothing earlier" in owner_client.get(f"{PAGE}?before=0").content.decode()


def test_the_admin_shows_the_log_and_changes_nothing(admin_client: Client, site: Site, owner: User) -> None:
    note(owner, Action.TOKEN_MADE, site, "Shop")
    entry = AuditEntry.objects.get()
    assert b"token" in admin_client.get(reverse("admin:sites_auditentry_changelist") + "?q=shop.example").content
    assert admin_client.get(reverse("admin:sites_auditentry_change", args=[entry.pk])).status_code == 200
    for address in (
        reverse("admin:sites_auditentry_add"),
        reverse("admin:sites_auditentry_change", args=[entry.pk]),
        reverse("admin:sites_auditentry_delete", args=[entry.pk]),
    ):
        assert admin_client.post(address, {"actor": "x", "post": "yes"}).status_code == 403
    assert len(noted()) == 1
