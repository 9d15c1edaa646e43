"""`<panel:name>` in URLs: the name of a panel of the dashboard."""

from django.urls import register_converter

from tracking.tables import TITLES


class PanelConverter:
    regex = "|".join(TITLES)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(PanelConverter, "panel")
