import logging
import logging.config
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun, worker_ready
from django.conf import settings

from sites import about

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "humblytics.settings")

BEAT_WATCHED_EVERY = 5.0

app = Celery("humblytics")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _log_as_the_settings_say(loglevel: int, **_: Any) -> None:
    """Keep Celery from adding handlers of its own to some loggers."""
    logging.config.dictConfig(settings.LOGGING)
    logging.getLogger().setLevel(loglevel)


def _begin(task_id: str, task: Any, **_: Any) -> None:
    about.begin(task=task.name, task_id=task_id)


def _watch_beat(sender: Any, **_: Any) -> None:
    """Let a worker end with its beat, if it was started with one: whoever starts it again starts both."""
    beat = sender.controller.beat
    if beat:
        sender.timer.call_repeatedly(BEAT_WATCHED_EVERY, _require_alive, (beat,))


def _require_alive(beat: Any) -> None:
    if not beat.is_alive():
        logging.getLogger(__name__).critical("the beat has ended, and so does the worker")
        os.kill(os.getpid(), signal.SIGTERM)


worker_ready.connect(_watch_beat)
setup_logging.connect(_log_as_the_settings_say)
task_prerun.connect(_begin)
