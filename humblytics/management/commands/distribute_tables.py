import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from humblytics import sharding
from humblytics.sharding import NoCitusError


class Command(BaseCommand):
    help = (
        "Spread the tables over the machines of a Citus cluster, by site. Stop the servers and workers before: each "
        "table is copied while nobody else may use it. It may be stopped and run again, and is to be run again after a "
        "migration that made a table. Exit status: 0 done, 1 failed, or with --check something is not so yet, 2 wrong "
        "usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Tell what is so and what is not, and change nothing.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        try:
            if check:
                self._check()
            else:
                self._distribute()
        except (NoCitusError, DatabaseError) as error:
            raise CommandError(str(error)) from error

    def _check(self) -> None:
        steps = sharding.plan()
        for step in steps:
            self.stdout.write(f"yes  {step.what}" if step.is_done else f"no   {step.what}: {step.statement}")
        if not all(step.is_done for step in steps):
            sys.exit(1)

    def _distribute(self) -> None:
        steps = 0
        for step in sharding.distribute():
            self.stderr.write(step.what)
            steps += 1
        self.stdout.write(f"{steps} steps were taken." if steps else "Everything was so already.")
