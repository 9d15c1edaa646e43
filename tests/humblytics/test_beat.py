import datetime as dt
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from humblytics.beat import Scheduler
from humblytics.celery import app


def test_a_clock_that_was_set_back_puts_no_task_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scheduler, "apply_async", lambda *args, **options: None)
    now = timezone.now()
    monkeypatch.setattr(app, "now", lambda: now)
    with closing(Scheduler(app, schedule_filename=str(tmp_path / "schedule"))) as scheduler:
        assert 0 < scheduler.tick() <= settings.BEAT_SECONDS
        now -= dt.timedelta(hours=1)
        assert 0 < scheduler.tick() <= settings.BEAT_SECONDS
