"""Every address against everybody: what each opens is written down here, and an address that is not fails."""

from enum import IntEnum

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from sites.models import Role, Site
from sites.sharing import share
from tests.factories import MembershipFactory, UserFactory, confirm, send_hit
from tests.test_conventions import BY_TOKEN, PUBLIC, ROUTES, SHAREABLE, Route


class Least(IntEnum):
    """Who may open it at least."""

    ANYBODY = -1
    LOGGED_IN = 0
    VIEWER = Role.VIEWER
    EDITOR = Role.EDITOR
    ADMIN = Role.ADMIN
    OWNER = Role.OWNER


LEAST = {
    name: least
    for least, names in {
        Least.ANYBODY: """
        account_confirm_email account_login account_reset_password login logout metrics mfa_authenticate
        mfa_login_webauthn no-api openapi password_reset_confirm readyz sites:join sites:open-share tracker
        tracking:unsubscribe
        """,
        Least.LOGGED_IN: """
        account account_change_password account_email account_reauthenticate cancel-email delete-account
        end-other-sessions end-session help help-index mfa_activate_totp mfa_add_webauthn mfa_deactivate_totp
        mfa_generate_recovery_codes mfa_index mfa_list_webauthn mfa_reauthenticate mfa_reauthenticate_webauthn
        mfa_remove_webauthn mfa_view_recovery_codes sites:index sites:new
        """,
        Least.VIEWER: """
        revenue:as-of revenue:changes revenue:coverage revenue:dashboard revenue:details revenue:export-changes
        revenue:export-over-time revenue:export-panel revenue:export-payments revenue:headline revenue:over-time
        revenue:panel revenue:payment revenue:payments revenue:totals sites:leave splittests:breakdown
        splittests:export-csv splittests:export-json splittests:export-revenue splittests:index splittests:over-time
        splittests:results splittests:revenue tracking:dashboard tracking:details tracking:export-over-time
        tracking:export-panel tracking:first-hit tracking:last-days tracking:live-visitors tracking:panel
        tracking:suggestions
        """,
        Least.EDITOR: """
        splittests:archive splittests:change splittests:checks splittests:edit splittests:new splittests:pause
        splittests:plan splittests:preview splittests:start splittests:stop
        """,
        Least.ADMIN: """
        revenue:alerts revenue:attribution revenue:check revenue:disconnect revenue:health revenue:method
        revenue:replace revenue:settings revenue:standing revenue:steps revenue:sync sites:add-link sites:add-token
        sites:change-role sites:invite sites:log sites:members sites:remove-member sites:resend-invitation
        sites:revoke-invitation sites:revoke-link sites:revoke-token sites:settings sites:sharing splittests:share
        tracking:add-source-rule tracking:goal tracking:goal-preview tracking:goals tracking:intake
        tracking:remove-goal tracking:remove-report tracking:remove-source-rule tracking:reports
        """,
        Least.OWNER: "sites:delete",
    }.items()
    for name in names.split()
} | dict.fromkeys(BY_TOKEN, Least.ANYBODY)

# The admin has checks of its own, which are Django's.
ADDRESSES = [route for route in ROUTES if not route.name.startswith("admin:")]
OF_A_SITE = [route for route in ADDRESSES if "domain" in route.converters and route.name not in BY_TOKEN]


def opens(client: Client, route: Route, domain: str) -> bool:
    """Tell whether a look at the address or a form sent to it gets through the door to the site."""
    for method in ("get", "post"):
        with transaction.atomic():
            response = getattr(client, method)(route.address(domain))
            # So that nobody leaves for good, and no link is revoked for the next.
            transaction.set_rollback(True)
        # What the door leaves on the request, whether or not there is what is asked for behind it.
        if hasattr(response.wsgi_request, "role") or hasattr(response.wsgi_request, "shared_home"):
            return True
    return False


def test_every_address_says_who_may_open_it_at_least() -> None:
    assert {route.name for route in ADDRESSES} == LEAST.keys()
    assert {name for name, least in LEAST.items() if least == Least.ANYBODY} == {
        name for name in PUBLIC if not name.startswith("admin:")
    }


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.django_db
def test_every_address_of_a_site_opens_to_its_least_role_and_above(site: Site, role: Role | None) -> None:
    """A stranger has a role on another site, and none on this one."""
    send_hit(site)
    user = MembershipFactory(site=site, role=role).user if role else MembershipFactory(role=Role.OWNER).user
    client = Client()
    client.force_login(user)
    confirm(client)
    opened = {route.name for route in OF_A_SITE if opens(client, route, site.domain)}
    assert opened == {route.name for route in OF_A_SITE if role and LEAST[route.name] <= role}


@pytest.mark.django_db
def test_without_an_account_no_address_of_a_site_opens_but_by_a_share_link(client: Client, site: Site) -> None:
    send_hit(site)
    assert [route.name for route in OF_A_SITE if opens(client, route, site.domain)] == []
    client.get(reverse("sites:open-share", args=[share(site, "Board", "").token]))
    # A link to the dashboard opens no split test's results.
    shown = {route.name for route in SHAREABLE if "test_id" not in route.converters}
    assert {route.name for route in OF_A_SITE if opens(client, route, site.domain)} == shown


@pytest.mark.django_db
def test_the_other_addresses_ask_for_a_login_or_need_none(client: Client) -> None:
    others = [route for route in ADDRESSES if "domain" not in route.converters]
    to_login = {
        route.name
        for route in others
        if client.get(route.address("")).headers.get("Location", "").startswith(f"{reverse('login')}?next=")
    }
    assert to_login == {route.name for route in others if LEAST[route.name] == Least.LOGGED_IN}


@pytest.mark.parametrize("is_staff", [False, True])
@pytest.mark.django_db
def test_the_admin_opens_to_staff_alone(client: Client, is_staff: bool) -> None:
    client.force_login(UserFactory(is_staff=is_staff, is_superuser=is_staff))
    lists = [route for route in ROUTES if route.name.startswith("admin:") and route.name.endswith("_changelist")]
    assert lists
    statuses = {client.get(route.address("")).status_code for route in lists}
    assert statuses == ({200} if is_staff else {302})
