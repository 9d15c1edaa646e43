from django.apps import AppConfig


class TrackingConfig(AppConfig):
    name = "tracking"

    def ready(self) -> None:
        from tracking import checks  # noqa: F401, PLC0415  registers the system checks
