from django.apps import AppConfig


class HumblyticsConfig(AppConfig):
    name = "humblytics"

    def ready(self) -> None:
        from humblytics import checks  # noqa: F401, PLC0415  registers the system checks
