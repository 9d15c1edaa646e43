"""The revenue settings as a browser has them, with the sandbox in Stripe's place."""

import datetime as dt
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from revenue import tasks
from revenue.models import AttributionRules, Connection, Incident, Setup, Slice, StripeAccount
from revenue.probing import NEEDS, new_key_url
from revenue.ration import count_reads
from revenue.sandbox import faults
from revenue.sandbox.accounts import READ_PERMISSIONS, Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.streams import LISTS
from sites.models import AuditEntry, Role, Site
from tests.factories import MembershipFactory
from tests.revenue.conftest import moment

pytestmark = pytest.mark.django_db

SETTINGS = "/shop.example/settings/revenue/"
KEY = "sk_test_51Hxcafecafecafecafecafe"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The connections whose sync was queued; there is no queue here."""
    found: list[int] = []
    monkeypatch.setattr(tasks.sync_connection, "delay", found.append)
    return found


def text_of(answer: Any) -> str:
    """What a reader sees of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.content.decode())).split())


def enter(client: Client, key: str, method: str = "stripe_api") -> Any:
    return client.post(SETTINGS, {"provider": "stripe", "method": method, "secret_key": key})


def permissions(text: str) -> dict[str, str]:
    """What the page says of each permission."""
    told = {}
    for need in NEEDS:
        found = re.search(rf"(Granted|Missing|Left out|Not checked) {need.name}\b(?! transactions)", text)
        told[need.name] = found[1] if found else ""
    return told


# Connecting.


def test_a_key_connects_the_site_and_is_read_at_once(
    owner_client: Client,
    site: Site,
    account: Account,
    sandbox: SandboxServer,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = enter(owner_client, f" {account.restricted_key}\n", "payment_links")
    connection = Connection.objects.get()
    assert answer.status_code == 302
    assert queued == [connection.pk]
    assert Setup.objects.get().method == "payment_links"
    page = owner_client.get(SETTINGS)
    assert set(permissions(text_of(page)).values()) == {"Granted"}
    assert "The key may read All that is needed" in text_of(page)


def test_who_sets_replaces_and_destroys_a_key_is_noted_without_the_key(
    owner_client: Client, site: Site, account: Account, world: World, sandbox: SandboxServer
) -> None:
    enter(owner_client, account.secret_key)
    pk = Connection.objects.get().pk
    other = world.add_restricted_key(account, READ_PERMISSIONS)
    owner_client.post(f"{SETTINGS}{pk}/replace/", {"secret_key": other})
    owner_client.post(f"{SETTINGS}{pk}/disconnect/")
    enter(owner_client, KEY)
    noted = AuditEntry.objects.order_by("pk").values_list("actor", "action", "domain", "subject")
    assert list(noted) == [
        ("owner@example.com", action, site.domain, f"{account.id} (test): {kind}_test_…{key[-4:]}")
        for action, kind, key in (
            ("key_set", "sk", account.secret_key),
            ("key_set", "rk", other),
            ("key_removed", "rk", other),
        )
    ]


def test_before_that_the_page_says_what_a_key_needs_and_where_to_make_it(owner_client: Client, site: Site) -> None:
    page = owner_client.get(SETTINGS).content.decode()
    for need in NEEDS:
        assert (f'<span class="badge">{need.name}</span>' in page) is need.is_advised
    links = [unescape(found) for found in re.findall(r'href="(https://dashboard[^"]*)"', page)]
    assert links == [new_key_url(), new_key_url(is_live=False)]
    asked = set(re.findall(r"permissions%5B%5D=(rak_\w+)", links[0]))
    # Nothing that writes, and nothing that the sandbox, as Stripe, does not ask for.
    assert asked <= READ_PERMISSIONS
    assert asked == {permission for need in NEEDS if need.is_advised for permission in need.permissions}
    assert links[1].startswith("https://dashboard.stripe.com/test/apikeys/create?")


def test_a_key_that_has_just_what_the_link_asks_for_is_enough(
    owner_client: Client, site: Site, account: Account, world: World, sandbox: SandboxServer
) -> None:
    asked = frozenset(re.findall(r"rak_\w+", new_key_url()))
    assert enter(owner_client, world.add_restricted_key(account, asked)).status_code == 302
    page = text_of(owner_client.get(SETTINGS))
    assert "The key may read All that is needed" in page
    assert permissions(page) == {need.name: "Granted" if need.is_advised else "Left out" for need in NEEDS}
    assert "Needed only if your checkout puts the view id on the Customer." in page


@pytest.mark.parametrize("need", [need for need in NEEDS if need.is_required], ids=lambda need: need.name)
def test_a_key_that_lacks_something_connects_nothing_and_says_what_it_is_for(
    owner_client: Client, site: Site, account: Account, world: World, sandbox: SandboxServer, need: Any
) -> None:
    key = world.add_restricted_key(account, READ_PERMISSIONS - set(need.permissions[-1:]))
    answer = enter(owner_client, key)
    assert not Connection.objects.exists()
    told = permissions(text_of(answer))
    assert told == {each.name: "Missing" if each is need else "Granted" for each in NEEDS}
    assert need.without in text_of(answer)
    assert key not in answer.content.decode()


@pytest.mark.parametrize("need", [need for need in NEEDS if not need.is_required], ids=lambda need: need.name)
def test_what_can_be_left_out_is_told_but_connects(
    owner_client: Client, site: Site, account: Account, world: World, sandbox: SandboxServer, need: Any
) -> None:
    key = world.add_restricted_key(account, READ_PERMISSIONS - set(need.permissions))
    assert enter(owner_client, key).status_code == 302
    # Without “Account”, it is Stripe's refusal that says whose key it is.
    assert Connection.objects.get().account.acct_id == account.id
    page = text_of(owner_client.get(SETTINGS))
    assert permissions(page)[need.name] == ("Missing" if need.is_advised else "Left out")
    assert need.without in page


def test_a_key_for_other_addresses_only_is_not_said_to_lack_a_permission(
    owner_client: Client, site: Site, account: Account, sandbox: SandboxServer
) -> None:
    sandbox.faults.always(faults.address_refused())
    page = text_of(enter(owner_client, account.secret_key))
    assert "only from other addresses" in page
    assert "grant it read access" not in page


def test_a_misshapen_key_is_refused_before_it_is_used(owner_client: Client, site: Site, sandbox: SandboxServer) -> None:
    answer = enter(owner_client, "pk_test_51Hxcafecafecafe").content.decode()
    assert 'class="errorlist"' in answer
    assert "pk_test_51Hxcafecafecafe" not in answer
    assert not sandbox.served


def test_a_refused_key_is_an_error_that_never_shows_the_key(
    owner_client: Client, site: Site, sandbox: SandboxServer, queued: list[int]
) -> None:
    answer = enter(owner_client, KEY)
    assert answer.status_code == 200
    assert "Stripe does not accept the key" in text_of(answer)
    assert KEY not in answer.content.decode()
    assert queued == []


# States.


@pytest.fixture
def state(owner_client: Client, connection: Connection) -> Callable[[], str]:
    """What the page says of the connection, asked for as the page does by itself."""

    def state() -> str:
        part = owner_client.get(f"{SETTINGS}{connection.pk}/")
        assert f'id="standing-{connection.pk}"' in part.content.decode()
        assert "<html" not in part.content.decode()
        return text_of(part)

    return state


def pause(client: Client, connection: Connection) -> str:
    found = re.search(r"every (\d+)s", client.get(f"{SETTINGS}{connection.pk}/").content.decode())
    assert found
    return found[1]


def test_a_new_connection_is_being_checked_and_asked_for_often(
    owner_client: Client, connection: Connection, state: Callable[[], str]
) -> None:
    assert "Checking Test" in state()
    assert "Syncing for the first time…" in state()
    assert pause(owner_client, connection) == "2"


def test_a_history_that_is_being_read_says_how_far_it_has_got(
    owner_client: Client, connection: Connection, state: Callable[[], str], run: Any, buy: Any
) -> None:
    buy(), buy()
    run(full=True)
    account = connection.account
    StripeAccount.objects.update(opened_at=timezone.now() - dt.timedelta(days=1000))
    for name in LISTS:
        until = timezone.now() - dt.timedelta(days=505)
        Slice.objects.create(account=account, name=name, until_at=until, is_known=False)
    text = state()
    assert "Reading the history Test" in text
    assert f"History read back to {until:%-d %b %Y}: 50 %, 2 payments so far." in text
    assert "Not yet: the history is still being read" in text
    assert pause(owner_client, connection) == "2"


def test_a_connection_that_is_well_says_when_it_was_read_and_how_often(
    owner_client: Client, connection: Connection, state: Callable[[], str], run: Any, world: World
) -> None:
    run()
    count_reads(connection.account, timezone.now(), 1000)
    text = state()
    at = moment(world)
    assert "Connected Test" in text
    assert f"Last success {at:%-d %b %Y, %H:%M:%S}" in text
    assert re.search(r"Complete up to \d+ \w+ \d{4}, [\d:]+ \(\d+.minutes? ago\)", text)
    assert re.search(r"1,0\d\d today, 1,0\d\d in 30 days, of the 5,000 Humblytics allows itself and the 10,000", text)
    assert pause(owner_client, connection) == "10"


def test_a_live_connection_is_called_live(
    owner_client: Client, site: Site, account: Account, sandbox: SandboxServer
) -> None:
    enter(owner_client, account.live_secret_key)
    assert "Checking Live" in text_of(owner_client.get(SETTINGS))


@pytest.mark.parametrize(
    ("trouble", "label", "said"),
    [
        pytest.param(faults.key_refused(), "Key revoked", "Stripe does not accept the key", id="revoked"),
        pytest.param(faults.key_expired(), "Key revoked", "Stripe does not accept the key", id="expired"),
        pytest.param(faults.server_error(), "Degraded", "Stripe cannot be reached", id="down"),
        pytest.param(faults.captive_portal(), "Degraded", "What answered is not Stripe", id="something else"),
        pytest.param(
            faults.too_many_requests(retry_after=7200), "Throttled", "does not allow more reads", id="throttled"
        ),
    ],
)
def test_trouble_is_a_state_of_its_own(
    state: Callable[[], str], run: Any, sandbox: SandboxServer, trouble: Any, label: str, said: str
) -> None:
    run()
    sandbox.faults.always(trouble)
    run()
    text = state()
    assert f"{label} Test" in text
    assert said in text
    # What was read before is not forgotten.
    assert "Last success" in text
    sandbox.faults.clear()
    run()
    assert "Connected Test" in state()


def test_a_permission_that_is_lost_is_missing_until_the_list_is_read_again(
    owner_client: Client, state: Callable[[], str], run: Any, sandbox: SandboxServer, connection: Connection
) -> None:
    run()
    sandbox.faults.always(faults.permission_missing("rak_dispute_read"), path="/v1/disputes")
    run()
    assert "Degraded Test" in state()
    assert "The key may read Not Disputes. What customers dispute would count as revenue." in state()
    page = text_of(owner_client.get(SETTINGS))
    assert permissions(page) == {need.name: "Missing" if need.name == "Disputes" else "Granted" for need in NEEDS}
    # A tick that does not try the list learns nothing new of it.
    run(drain=False)
    assert "Not Disputes" in state()
    sandbox.faults.clear()
    run()
    assert "The key may read All that is needed" in state()
    assert "Connected Test" in state()


def test_a_key_is_checked_anew_when_somebody_asks(
    owner_client: Client, sandbox: SandboxServer, connection: Connection
) -> None:
    sandbox.faults.always(faults.permission_missing("rak_balance_read"), path="/v1/balance")
    answer = owner_client.post(f"{SETTINGS}{connection.pk}/check/", follow=True)
    assert "The key was checked" in text_of(answer)
    assert permissions(text_of(answer))["Balance"] == "Missing"
    sandbox.faults.clear()
    answer = owner_client.post(f"{SETTINGS}{connection.pk}/check/", follow=True)
    assert permissions(text_of(answer))["Balance"] == "Granted"
    sandbox.faults.always(faults.key_refused())
    answer = owner_client.post(f"{SETTINGS}{connection.pk}/check/", follow=True)
    assert "Stripe does not accept the key" in text_of(answer)
    assert owner_client.get(f"{SETTINGS}{connection.pk}/check/").status_code == 405


def test_a_key_that_nobody_looked_at_is_not_said_to_be_enough(
    owner_client: Client, state: Callable[[], str], connection: Connection
) -> None:
    Connection.objects.update(probed_at=None)
    assert "The key may read Not checked yet" in state()
    assert set(permissions(text_of(owner_client.get(SETTINGS))).values()) == {"Not checked"}


@pytest.mark.parametrize(
    ("kind", "is_warned"), [("secret_key", True), ("restricted_key", False)], ids=["secret", "restricted"]
)
def test_a_key_that_can_write_is_warned_of(
    owner_client: Client, site: Site, account: Account, sandbox: SandboxServer, kind: str, is_warned: bool
) -> None:
    enter(owner_client, getattr(account, kind))
    page = text_of(owner_client.get(SETTINGS))
    assert ("This is a full secret key" in page) is is_warned
    # What a restricted key may write cannot be seen without writing.
    assert ("Stripe shows only in its own form" in page) is not is_warned


# Replacing and removing.


def test_another_key_of_the_account_takes_the_place_of_the_first(
    owner_client: Client,
    connection: Connection,
    account: Account,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    Connection.objects.update(status="auth_failed", problem="Expired.")
    with django_capture_on_commit_callbacks(execute=True):
        answer = owner_client.post(f"{SETTINGS}{connection.pk}/replace/", {"secret_key": account.restricted_key})
    assert answer.status_code == 302
    connection.refresh_from_db()
    assert connection.open_key().reveal() == account.restricted_key
    assert (connection.status, queued) == ("connected", [connection.pk])


def test_a_key_of_another_account_never_replaces_one(
    owner_client: Client, connection: Connection, account: Account, world: World
) -> None:
    for key in (world.add_account("Other").secret_key, account.live_secret_key):
        answer = owner_client.post(f"{SETTINGS}{connection.pk}/replace/", {"secret_key": key})
        assert "Payments of two accounts are never mixed" in text_of(answer)
        assert key not in answer.content.decode()
    assert Connection.objects.get().open_key().reveal() == account.secret_key
    assert StripeAccount.objects.count() == 1


def test_a_key_that_is_not_enough_leaves_the_first_in_its_place(
    owner_client: Client, connection: Connection, account: Account, world: World
) -> None:
    key = world.add_restricted_key(account, READ_PERMISSIONS - {"rak_charge_read"})
    answer = owner_client.post(f"{SETTINGS}{connection.pk}/replace/", {"secret_key": key})
    assert "Missing Charges and Refunds" in text_of(answer)
    connection.refresh_from_db()
    assert connection.open_key().reveal() == account.secret_key


def test_removing_is_asked_for_once_more_and_destroys_the_key(owner_client: Client, connection: Connection) -> None:
    page = owner_client.get(SETTINGS).content.decode()
    ask = page[page.index("<summary>Disconnect…</summary>") :]
    assert f"Disconnect {connection.account.acct_id}</button>" in ask
    address = f"{SETTINGS}{connection.pk}/disconnect/"
    assert owner_client.get(address).status_code == 405
    assert owner_client.post(address).status_code == 302
    connection.refresh_from_db()
    assert (connection.sealed_key, connection.key_hint) == ("", "")
    text = text_of(owner_client.get(SETTINGS))
    assert "Disconnected Test" in text
    assert "Enter a key again…" in text
    assert "The key was removed" in text


def test_sync_now_queues_the_connection(
    owner_client: Client, connection: Connection, queued: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    address = f"{SETTINGS}{connection.pk}/sync/"
    assert owner_client.get(address).status_code == 405
    with django_capture_on_commit_callbacks(execute=True):
        assert owner_client.post(address).status_code == 302
    assert queued == [connection.pk]


# Who may, and what is kept.


def test_the_settings_are_kept_nowhere(owner_client: Client, connection: Connection) -> None:
    answer = owner_client.get(SETTINGS)
    assert "no-store" in answer.headers["Cache-Control"]
    page = answer.content.decode()
    assert 'hx-history="false"' in page
    assert 'type="password"' in page
    assert connection.sealed_key not in page


def test_a_connection_of_another_site_is_not_found(owner_client: Client, site: Site) -> None:
    foreign = MembershipFactory().site
    account = StripeAccount.objects.create(acct_id="acct_2", livemode=True)
    other = Connection.objects.create(site=foreign, account=account, connected_at=timezone.now())
    assert owner_client.get(f"{SETTINGS}{other.pk}/").status_code == 404
    for verb in ("sync", "check", "replace", "disconnect"):
        assert owner_client.post(f"{SETTINGS}{other.pk}/{verb}/").status_code == 404


def test_only_administrators_see_the_settings(site: Site, connection: Connection, queued: list[int]) -> None:
    client = Client()
    client.force_login(MembershipFactory(site=site, role=Role.EDITOR).user)
    for path in ("", "health/", "steps/", f"{connection.pk}/"):
        assert client.get(f"{SETTINGS}{path}").status_code == 404
    for path in ("method/", "alerts/", "attribution/", f"{connection.pk}/sync/", f"{connection.pk}/replace/"):
        assert client.post(f"{SETTINGS}{path}").status_code == 404
    assert queued == []
    assert not AttributionRules.objects.exists()


# Choices.


def test_the_method_only_changes_what_is_shown_first(owner_client: Client, connection: Connection) -> None:
    def headings() -> list[str]:
        page = owner_client.get(SETTINGS).content.decode()
        part = page[page.index('id="checkout-title"') :]
        return re.findall(r"<h3>([^<]*)</h3>", part)[1:2]

    assert headings() == ["Stripe API: my server creates each Checkout Session"]
    assert owner_client.post(f"{SETTINGS}method/", {"method": "payment_links"}).status_code == 302
    assert headings() == ["Payment Links: my pages link to buy.stripe.com"]
    owner_client.post(f"{SETTINGS}method/", {"method": "carrier_pigeon"})
    assert Setup.objects.get().method == "payment_links"


def test_alerts_are_on_until_they_are_turned_off(owner_client: Client, connection: Connection) -> None:
    assert re.search(r'name="sends_alerts"[^>]* checked', owner_client.get(SETTINGS).content.decode())
    owner_client.post(f"{SETTINGS}alerts/", {})
    assert not Setup.objects.get().sends_alerts
    owner_client.post(f"{SETTINGS}alerts/", {"sends_alerts": "on"})
    assert Setup.objects.get().sends_alerts


def test_what_was_told_and_is_not_over_is_shown_with_the_alerts(
    owner_client: Client, site: Site, connection: Connection
) -> None:
    at = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    Incident.objects.create(site=site, kind="healed", opened_at=at, ended_at=at)
    Incident.objects.create(site=site, kind="stopped", opened_at=at)
    page = text_of(owner_client.get(SETTINGS))
    assert page.count("not over yet") == 1
    assert "Told on 1 May 2026, 12:00, and not over yet: Stripe is not read any more." in page
