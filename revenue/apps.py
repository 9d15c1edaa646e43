from django.apps import AppConfig


class RevenueConfig(AppConfig):
    name = "revenue"

    def ready(self) -> None:
        from revenue import checks, lookups  # noqa: F401, PLC0415  registers the system checks and the lookups
