"""Celery's beat, which goes on when the clock is set back.

Its own waits until the clock is again as late as it was: what was sent an hour from now is due in an hour and more.
"""

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    def tick(self, *args: object, **options: object) -> float:
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > entry.default_now()]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            # Have it work out anew when each is due.
            self._heap = None
        seconds: float = super().tick(*args, **options)
        return seconds
