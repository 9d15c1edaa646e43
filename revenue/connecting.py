"""Connecting a site to a Stripe account by a key, and taking the key away again."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from revenue import forgetting
from revenue.attribution import Reason
from revenue.encryption import EncryptionKeysError, UnreadableError
from revenue.models import Attribution, Connection, StripeAccount
from revenue.models.accounts import Status
from revenue.pager import LATEST
from revenue.probing import probe
from revenue.ration import count_reads
from revenue.secrecy import Secret
from revenue.stripe_client import (
    ATTENDED,
    MalformedAnswerError,
    ReadError,
    StripeReader,
    is_live,
    read_key,
)
from sites.models import Site


class ConnectError(Exception):
    """The key cannot be used; the message says why and what to do, and never repeats the key.

    `lacking` is what the key may not read, as Stripe's form calls it; None when that is not known.
    """

    def __init__(self, message: str, lacking: list[str] | None = None) -> None:
        self.lacking = lacking
        super().__init__(message)


def connect(site: Site, key_text: str, now: dt.datetime, instead_of: Connection | None = None) -> Connection:
    """Connect the site to the account that the key opens, once everything needed was read with it.

    A further key of the same account replaces the one before; a key of another account, or of the other mode,
    makes a connection of its own, but none when it was meant for that of `instead_of`. Raise KeyShapeError or
    ConnectError.
    """
    key = read_key(key_text)
    found = _account(key)
    if instead_of and (found.id, is_live(key)) != (instead_of.account.acct_id, instead_of.account.livemode):
        mode = "live" if is_live(key) else "test"
        raise ConnectError(
            f"This key opens {found.id} ({mode}), not {instead_of.account}, whose key it was to replace. Payments of "
            "two accounts are never mixed: to read that account too, enter its key under “Connect another account”."
        )
    with transaction.atomic():
        forgetting.leave_alone(found.id, is_live(key))
        account, _ = StripeAccount.objects.update_or_create(
            acct_id=found.id, livemode=is_live(key), defaults=found.known
        )
        connection = Connection.objects.select_for_update().filter(site=site, account=account).first() or Connection(
            site=site, account=account
        )
        try:
            connection.seal_key(key)
        except EncryptionKeysError as error:
            raise ConnectError(str(error)) from error
        connection.status, connection.problem, connection.connected_at = Status.CONNECTED, "", now
        connection.lacking, connection.probed_at = found.lacking, now
        connection.save()
        # So that the next beat reads the account, whatever became of the key before.
        StripeAccount.objects.filter(pk=account.pk).update(due_at=None)
        count_reads(account, now, found.reads)
        # What was another site's until now may be this one's: version 0 has the next sync decide again.
        Attribution.objects.filter(account=account, reason=Reason.OTHER_SITE).update(rules_version=0)
    return connection


def check(connection: Connection, now: dt.datetime) -> None:
    """Look anew what the connection's key may read. Raise ConnectError when Stripe cannot be read with it."""
    try:
        with StripeReader(connection.open_key(), ATTENDED) as reader:
            found = probe(reader)
    except (UnreadableError, ReadError) as error:
        raise ConnectError(str(error)) from error
    count_reads(connection.account, now, reader.reads)
    connection.lacking, connection.probed_at = found.lacking, now
    connection.save(update_fields=["lacking", "probed_at"])


def described(connection: Connection) -> str:
    """Say which key of which account the connection has, as the settings do."""
    return f"{connection.account}: {connection.key_hint}"


def disconnect(connection: Connection) -> None:
    """Destroy the key. What was read with it stays."""
    connection.sealed_key = connection.key_hint = connection.problem = ""
    connection.status, connection.lacking, connection.probed_at = Status.DISCONNECTED, [], None
    connection.save(update_fields=["sealed_key", "key_hint", "problem", "status", "lacking", "probed_at"])


@dataclass(frozen=True, slots=True)
class Found:
    """The account that a key opens, what is known of it, what the key may not read, and how many reads that took."""

    id: str
    known: dict[str, Any]
    lacking: list[str]
    reads: int


def _account(key: Secret) -> Found:
    """Raise ConnectError."""
    try:
        with StripeReader(key, ATTENDED) as reader:
            found = probe(reader)
        if found.indispensable:
            raise ConnectError(
                "The key may not read everything that is needed. In Stripe, grant it read access to: "
                + "; ".join(found.indispensable)
                + ".",
                found.lacking,
            )
        known = {
            "country": _text(found.account, "country"),
            "default_currency": _text(found.account, "default_currency"),
            "opened_at": _opened_at(found.account),
        }
        # A key that may not read the account does not make it forgotten.
        told = {name: value for name, value in known.items() if value}
        return Found(_text(found.account, "id"), told, found.lacking, reader.reads)
    except ReadError as error:
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
