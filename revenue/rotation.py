"""Sealing what is kept under an old encryption key anew, under the first that is configured.

Each row is a transaction of its own, so whenever this is ended, every secret can be opened by one of the configured
keys, and the next run goes on where this one stopped.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from allauth.mfa.models import Authenticator
from django.db import transaction

from revenue import encryption
from revenue.encryption import UnreadableError
from revenue.models import Connection
from revenue.second_factors import SECRETS, Adapter


@dataclass(slots=True)
class Rotation:
    """How many secrets were sealed anew, are sealed under which encryption key, and cannot be opened.

    These are Stripe keys, and what second factors are known by.
    """

    rotated: int = 0
    sealed_under: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    def count(self, sealed: str, name: str, seal_anew: Callable[[], str]) -> str | None:
        """Count what is sealed so, and give it sealed anew; None if it needs not, or cannot, be."""
        try:
            # What is under the first key already is opened, too: whether it can be is to be told.
            anew = seal_anew()
        except UnreadableError:
            self.unreadable.append(name)
            self.sealed_under[encryption.sealed_under(sealed)] += 1
            return None
        is_old = encryption.sealed_under(sealed) != encryption.sealed_under(anew)
        self.rotated += is_old
        self.sealed_under[encryption.sealed_under(anew)] += 1
        return anew if is_old else None


def rotate(*, is_dry: bool) -> Rotation:
    """Open every secret, and seal each that is not under the first encryption key. Raise EncryptionKeysError."""
    encryption.keys()
    done = Rotation()
    for pk in Connection.objects.exclude(sealed_key="").order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            rows = Connection.objects.select_for_update(of=("self",)).select_related("site", "account")
            # It may have been disconnected since.
            if connection := rows.exclude(sealed_key="").filter(pk=pk).first():
                _rotate_key(connection, done, is_dry=is_dry)
    for pk in Authenticator.objects.filter(type__in=SECRETS).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            if factor := Authenticator.objects.select_for_update().filter(pk=pk).first():
                _rotate_factor(factor, done, is_dry=is_dry)
    return done


def _rotate_key(connection: Connection, done: Rotation, *, is_dry: bool) -> None:
    def seal_anew() -> str:
        connection.seal_key(connection.open_key())
        return connection.sealed_key

    if done.count(connection.sealed_key, str(connection), seal_anew) and not is_dry:
        connection.save(update_fields=["sealed_key"])


def _rotate_factor(factor: Authenticator, done: Rotation, *, is_dry: bool) -> None:
    sealed, adapter = factor.data[SECRETS[factor.type]], Adapter()
    anew = done.count(sealed, f"{factor} of {factor.user}", lambda: adapter.encrypt(adapter.decrypt(sealed)))
    if anew and not is_dry:
        factor.data[SECRETS[factor.type]] = anew
        factor.save(update_fields=["data"])
