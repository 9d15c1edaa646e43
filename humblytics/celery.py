import logging
import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from django.conf import settings

from sites import about

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "humblytics.settings")

app = Celery("humblytics")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _log_as_the_settings_say(loglevel: int, **_: Any) -> None:
    """Keep Celery from adding handlers of its own to some loggers."""
    logging.config.dictConfig(settings.LOGGING)
    logging.getLogger().setLevel(loglevel)


def _begin(task_id: str, task: Any, **_: Any) -> None:
    about.begin(task=task.name, task_id=task_id)


setup_logging.connect(_log_as_the_settings_say)
task_prerun.connect(_begin)
