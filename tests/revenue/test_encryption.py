import base64
import datetime as dt
import pickle
import traceback
from typing import Any

import pytest
from django.forms import model_to_dict
from hypothesis import given
from hypothesis import strategies as st

from revenue.encryption import EncryptionKeysError, UnreadableError, keys, seal, unseal
from revenue.models import Connection, StripeAccount
from revenue.secrecy import Secret
from sites.models import Site
from tests.factories import SiteFactory

CANARY = "sk_test_51CanaryCanaryCanaryCanary"
NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
FIRST = "first:" + base64.b64encode(b"1" * 32).decode()
SECOND = "second:" + base64.b64encode(b"2" * 32).decode()


@given(st.text(max_size=200), st.text(max_size=50))
def test_what_is_sealed_is_opened_in_its_own_context_only(text: str, context: str) -> None:
    sealed = seal(Secret(text), context)
    assert unseal(sealed, context).reveal() == text
    with pytest.raises(UnreadableError):
        unseal(sealed, context + "x")


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert seal(Secret(CANARY), "c") != seal(Secret(CANARY), "c")


@given(st.data())
def test_one_changed_character_makes_it_unreadable(data: st.DataObject) -> None:
    sealed = seal(Secret(CANARY), "c")
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != sealed[place]))
    # The last character of base64 carries bits that are not looked at.
    changed = sealed[:place] + other + sealed[place + 1 :]
    try:
        assert unseal(changed, "c").reveal() == CANARY
    except UnreadableError:
        return
    assert base64.urlsafe_b64decode(changed.split(".")[3]) == base64.urlsafe_b64decode(sealed.split(".")[3])


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1.first.a.b", "v2.first..", "v1.nobody.AAAA.AAAA", "a.b.c.d.e", "v1...é"]
)
def test_what_was_never_sealed_is_unreadable(sealed: str) -> None:
    with pytest.raises(UnreadableError):
        unseal(sealed, "c")


def test_an_older_key_still_opens_and_a_missing_one_fails_closed(settings: Any) -> None:
    settings.HUMBLYTICS_ENCRYPTION_KEYS = FIRST
    sealed = seal(Secret(CANARY), "c")
    settings.HUMBLYTICS_ENCRYPTION_KEYS = f"{SECOND},{FIRST}"
    assert unseal(sealed, "c").reveal() == CANARY
    assert seal(Secret(CANARY), "c").startswith("v1.second.")
    settings.HUMBLYTICS_ENCRYPTION_KEYS = SECOND
    with pytest.raises(UnreadableError):
        unseal(sealed, "c")


@pytest.mark.parametrize(
    "value", ["", "x", "first:", "first:AAAA", f"{FIRST},{FIRST}", ":" + "A" * 44, "a.b:" + FIRST[6:]]
)
def test_keys_that_are_none_are_refused_without_being_shown(value: str, settings: Any) -> None:
    settings.HUMBLYTICS_ENCRYPTION_KEYS = value
    with pytest.raises(EncryptionKeysError) as refused:
        keys()
    assert not value or value not in str(refused.value)


@pytest.fixture
def connection(site: Site) -> Connection:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False)
    connection = Connection(site=site, account=account, connected_at=NOW)
    connection.seal_key(Secret(CANARY))
    connection.save()
    return connection


def test_a_key_moved_to_another_site_does_not_open(connection: Connection) -> None:
    assert connection.open_key().reveal() == CANARY
    thief = Connection(site=SiteFactory(), account=connection.account, sealed_key=connection.sealed_key)
    with pytest.raises(UnreadableError):
        thief.open_key()


def test_a_connection_shows_kind_and_last_four_characters_only(connection: Connection) -> None:
    assert connection.key_hint == "sk_test_…nary"
    for shown in (repr(connection), str(connection), str(model_to_dict(connection)), str(vars(connection))):
        assert CANARY not in shown


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(CANARY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>50}", str([secret])):
        assert CANARY not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert CANARY not in "".join(traceback.format_exception(ValueError(secret)))
