"""System checks: what would keep the Stripe keys from being safe, said at start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from revenue.encryption import EncryptionKeysError, keys


@register(Tags.security)
def encryption_keys_are_usable(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        keys()
    except EncryptionKeysError as error:
        return [Error(str(error), id="revenue.E001")]
    return []


@register(Tags.security, deploy=True)
def secrets_come_from_the_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is not set; a generated one is kept in {settings.VAR_DIR}, readable by whoever reads the data.",
            hint=f"Set {name}, or {name}_FILE.",
            id="revenue.W001",
        )
        for name in settings.GENERATED_SECRETS
    ]
