"""A new encryption key: what is sealed under the old one is sealed anew, and can be opened whenever that ends."""

import base64
import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from revenue import encryption
from revenue.models import Connection, StripeAccount
from revenue.secrecy import Secret
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.mortal import Mortals, mortals

OLD, NEW, OTHER = (f"{name}:{base64.b64encode(name.encode() * 32)[:44].decode()}" for name in "abc")


def key_of(n: int) -> str:
    return f"sk_test_51H8{n}abcdefghijkl"


@pytest.fixture
def sealed(site: Site, settings: Any) -> list[Connection]:
    """Three connections under the old key, and one that was disconnected; the new key goes first from now on."""
    settings.HUMBLYTICS_ENCRYPTION_KEYS = OLD
    made = []
    for n in range(3):
        account = StripeAccount.objects.create(acct_id=f"acct_{n}", livemode=False)
        connection = Connection(site=SiteFactory(), account=account, connected_at=timezone.now())
        connection.seal_key(Secret(key_of(n)))
        connection.save()
        made.append(connection)
    account = StripeAccount.objects.create(acct_id="acct_gone", livemode=False)
    Connection.objects.create(site=site, account=account, connected_at=timezone.now())
    settings.HUMBLYTICS_ENCRYPTION_KEYS = f"{NEW},{OLD}"
    return made


def opened() -> dict[str, str]:
    """The account of each connection with its key."""
    rows = Connection.objects.exclude(sealed_key="").select_related("account")
    return {row.account.acct_id: row.open_key().reveal() for row in rows}


def under() -> list[str]:
    rows = Connection.objects.exclude(sealed_key="").order_by("pk")
    return [encryption.sealed_under(row.sealed_key) for row in rows]


ALL = {f"acct_{n}": key_of(n) for n in range(3)}


def run(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    call_command("rotate_encryption_keys", "--json", *options)
    return json.loads(capsys.readouterr().out)


def test_every_key_is_sealed_anew_and_the_old_key_is_needed_no_more(
    sealed: list[Connection], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys) == {"dry_run": False, "rotated": 3, "sealed_under": {"b": 3}, "unreadable": []}
    settings.HUMBLYTICS_ENCRYPTION_KEYS = NEW
    assert opened() == ALL
    assert Connection.objects.get(account__acct_id="acct_gone").sealed_key == ""


def test_a_second_run_changes_nothing(sealed: list[Connection], capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    before = list(Connection.objects.order_by("pk").values())
    assert run(capsys)["rotated"] == 0
    assert list(Connection.objects.order_by("pk").values()) == before


def test_a_dry_run_says_the_same_and_changes_nothing(
    sealed: list[Connection], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--dry-run") == {"dry_run": True, "rotated": 3, "sealed_under": {"b": 3}, "unreadable": []}
    assert under() == ["a", "a", "a"]


def test_a_key_that_cannot_be_opened_is_named_left_alone_and_never_shown(
    sealed: list[Connection], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = sealed[1]
    Connection.objects.filter(pk=broken.pk).update(sealed_key=broken.sealed_key[:-8] + "AAAAAAAA")
    with pytest.raises(SystemExit) as ended:
        call_command("rotate_encryption_keys")
    assert ended.value.code == 3
    told = capsys.readouterr()
    assert f"{broken}: the secret cannot be opened" in told.err
    assert "2 secrets were sealed anew." in told.out
    assert under() == ["b", "a", "b"]
    assert not any(key in told.out + told.err for key in ALL.values())


def test_without_the_old_key_nothing_is_lost(
    sealed: list[Connection], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.HUMBLYTICS_ENCRYPTION_KEYS = OTHER
    with pytest.raises(SystemExit):
        call_command("rotate_encryption_keys")
    settings.HUMBLYTICS_ENCRYPTION_KEYS = OLD
    assert opened() == ALL


@pytest.mark.django_db
def test_encryption_keys_that_are_none_are_a_failure(settings: Any) -> None:
    settings.HUMBLYTICS_ENCRYPTION_KEYS = "a:short"
    with pytest.raises(CommandError):
        call_command("rotate_encryption_keys")


@pytest.fixture
def children(sealed: list[Connection], tmp_path: Path) -> Iterator[Mortals]:
    with mortals(tmp_path) as children:
        yield children


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_statement_every_key_opens_and_the_next_run_ends_it(
    children: Mortals, sealed: list[Connection]
) -> None:
    seen = []
    for fatal in itertools.count(1):
        for connection in sealed:
            Connection.objects.filter(pk=connection.pk).update(sealed_key=connection.sealed_key)
        [(status, _)] = children.do(("rotate", 0, "", fatal))
        assert opened() == ALL
        seen.append(under())
        if status == 0:
            break
        assert status == -signal.SIGKILL
        assert children.do(("rotate", 0, "", None))[0][0] == 0
        assert under() == ["b", "b", "b"]
        assert opened() == ALL
    # It was killed before, between and after all three.
    assert [each for each, _ in itertools.groupby(seen)] == [["b"] * n + ["a"] * (3 - n) for n in range(4)]


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_end_as_one_does(children: Mortals) -> None:
    assert [status for status, _ in children.do(*[("rotate", 0, "", None)] * 2)] == [0, 0]
    assert under() == ["b", "b", "b"]
    assert opened() == ALL
