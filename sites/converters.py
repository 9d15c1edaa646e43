"""`<domain:domain>` in URLs: a lower-case host name with a dot, so that `/admin/` is never a site."""

from django.urls import register_converter


class DomainConverter:
    regex = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(DomainConverter, "domain")
