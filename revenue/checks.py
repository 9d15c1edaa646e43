"""System checks: what would keep the Stripe keys from being read, said at start."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from revenue.encryption import EncryptionKeysError, keys


@register(Tags.security)
def encryption_keys_are_usable(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        keys()
    except EncryptionKeysError as error:
        return [Error(str(error), id="revenue.E001")]
    return []
