"""Sealing what is kept under an old encryption key anew, under the first that is configured.

Each connection is a transaction of its own, so whenever this is ended, every key can be opened by one of the
configured ones, and the next run goes on where this one stopped.
"""

from collections import Counter
from dataclasses import dataclass, field

from django.db import transaction

from revenue import encryption
from revenue.encryption import UnreadableError
from revenue.models import Connection


@dataclass(slots=True)
class Rotation:
    """How many Stripe keys were sealed anew, are sealed under which encryption key, and cannot be opened."""

    rotated: int = 0
    sealed_under: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def rotate(*, is_dry: bool) -> Rotation:
    """Open every Stripe key, and seal each that is not under the first encryption key. Raise EncryptionKeysError."""
    first = next(iter(encryption.keys()))
    done = Rotation()
    for pk in Connection.objects.exclude(sealed_key="").order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            rows = Connection.objects.select_for_update(of=("self",)).select_related("site", "account")
            # It may have been disconnected since.
            connection = rows.exclude(sealed_key="").filter(pk=pk).first()
            if connection is None:
                continue
            try:
                key = connection.open_key()
            except UnreadableError:
                done.unreadable.append(str(connection))
            else:
                if encryption.sealed_under(connection.sealed_key) != first:
                    done.rotated += 1
                    connection.seal_key(key)
                    if not is_dry:
                        connection.save(update_fields=["sealed_key"])
            done.sealed_under[encryption.sealed_under(connection.sealed_key)] += 1
    return done
