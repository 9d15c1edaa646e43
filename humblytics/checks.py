"""System checks of the wiring: what would keep a server from being reached, or its secrets from being safe."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def https_is_known_behind_a_proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.SECURE and not settings.TRUSTED_PROXIES:
        return [
            Warning(
                "BASE_URL is https, but TRUSTED_PROXIES is empty: behind a proxy, every request would be redirected "
                "to itself for ever, because nobody is believed who says that it came by https.",
                hint="Set TRUSTED_PROXIES to the proxy's address, such as 127.0.0.1.",
                id="humblytics.W001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def secrets_come_from_the_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is not set; a generated one is kept in {settings.VAR_DIR}, readable by whoever reads the data.",
            hint=f"Set {name}, or {name}_FILE.",
            id="humblytics.W002",
        )
        for name in settings.GENERATED_SECRETS
    ]
