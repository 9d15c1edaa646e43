"""The wiring: settings, URLs, the ASGI entry, Celery and its timetable, the embedded database, the demo.

May import every app; no app imports it.
"""

from humblytics.celery import app as celery_app

__all__ = ["celery_app"]
