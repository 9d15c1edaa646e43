"""`<revenue-panel:name>` in URLs: the name of a panel of the Revenue page."""

from django.urls import register_converter

from revenue.tables import PANELS


class RevenuePanelConverter:
    regex = "|".join(PANELS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(RevenuePanelConverter, "revenue-panel")
