"""Connecting a site to a Stripe account by a key, and taking the key away again."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from revenue.attribution import Reason
from revenue.encryption import EncryptionKeysError
from revenue.models import Attribution, Connection, StripeAccount
from revenue.models.accounts import Status
from revenue.pager import LATEST
from revenue.ration import count_reads
from revenue.secrecy import Secret
from revenue.streams import EVENTS, LISTS
from revenue.stripe_client import (
    ATTENDED,
    MalformedAnswerError,
    PermissionMissingError,
    ReadError,
    StripeReader,
    is_live,
    read_key,
)
from sites.models import Site


class ConnectError(Exception):
    """The key cannot be used; the message says why and what to do, and never repeats the key."""


def connect(site: Site, key_text: str, now: dt.datetime) -> Connection:
    """Connect the site to the account that the key opens, once everything needed was read with it.

    A further key of the same account replaces the one before; a key of another account, or of the other mode,
    makes a connection of its own. Raise KeyShapeError or ConnectError.
    """
    key = read_key(key_text)
    found = _account(key)
    with transaction.atomic():
        account, _ = StripeAccount.objects.update_or_create(
            acct_id=found.id,
            livemode=is_live(key),
            defaults={
                "country": found.country,
                "default_currency": found.default_currency,
                "opened_at": found.opened_at,
            },
        )
        connection = Connection.objects.select_for_update().filter(site=site, account=account).first() or Connection(
            site=site, account=account
        )
        try:
            connection.seal_key(key)
        except EncryptionKeysError as error:
            raise ConnectError(str(error)) from error
        connection.status, connection.problem, connection.connected_at = Status.CONNECTED, "", now
        connection.save()
        # So that the next beat reads the account, whatever became of the key before.
        StripeAccount.objects.filter(pk=account.pk).update(due_at=None)
        count_reads(account, now, found.reads)
        # What was another site's until now may be this one's: version 0 has the next sync decide again.
        Attribution.objects.filter(account=account, reason=Reason.OTHER_SITE).update(rules_version=0)
    return connection


def disconnect(connection: Connection) -> None:
    """Destroy the key. What was read with it stays."""
    connection.sealed_key = connection.key_hint = connection.problem = ""
    connection.status = Status.DISCONNECTED
    connection.save(update_fields=["sealed_key", "key_hint", "problem", "status"])


@dataclass(frozen=True, slots=True)
class Found:
    """The account that a key opens, and how many reads it took to see that the key reads what is needed."""

    id: str
    country: str
    default_currency: str
    opened_at: dt.datetime | None
    reads: int


def _account(key: Secret) -> Found:
    """Read the account, and one object of every list, as a sync will. Raise ConnectError."""
    missing: list[str] = []
    account: dict[str, Any] = {}
    probes = [("/v1/account", {}), *((path, {**params, "limit": 1}) for path, params in LISTS.values())]
    with StripeReader(key, ATTENDED) as reader:
        for path, params in [*probes, (EVENTS, {"limit": 1})]:
            try:
                answer = reader.get(path, params)
            except PermissionMissingError as error:
                missing.append(error.permission)
            except ReadError as error:
                raise ConnectError(str(error)) from error
            else:
                account = account or answer.data
    if missing:
        raise ConnectError(
            "The key may not read everything that is needed. In Stripe, grant it read access to: "
            + "; ".join(dict.fromkeys(missing))
            + "."
        )
    try:
        return Found(
            _text(account, "id"),
            _text(account, "country"),
            _text(account, "default_currency"),
            _opened_at(account),
            reader.reads,
        )
    except MalformedAnswerError as error:
        raise ConnectError(str(error)) from error


def _text(account: dict[str, Any], name: str) -> str:
    longest = {"id": 64, "country": 2, "default_currency": 3}[name]
    value = account.get(name) or ""
    if not isinstance(value, str) or len(value) > longest or (name == "id" and not value):
        raise MalformedAnswerError
    return value


def _opened_at(account: dict[str, Any]) -> dt.datetime | None:
    """When the account was opened, if Stripe says so: it only helps to divide its history evenly."""
    created = account.get("created")
    return dt.datetime.fromtimestamp(created, dt.UTC) if type(created) is int and 0 < created < LATEST else None
