"""System checks: what would keep the ingest from starting, said by every command."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from tracking.places import UnreadableError, open_mmdb


@register()
def places_can_be_looked_up(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.GEOIP_PATH:
        return []
    try:
        open_mmdb(settings.GEOIP_PATH)
    except UnreadableError as error:
        hint = "Run manage.py update_geoip, or unset GEOIP_PATH."
        return [Error(f"GEOIP_PATH: {settings.GEOIP_PATH} {error}", hint=hint, id="tracking.E001")]
    return []
