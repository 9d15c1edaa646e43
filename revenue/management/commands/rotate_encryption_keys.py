import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from revenue.encryption import EncryptionKeysError
from revenue.rotation import Rotation, rotate

UNREADABLE = 3


class Command(BaseCommand):
    help = (
        "Seal the stored Stripe keys and second factors anew under the first of HUMBLYTICS_ENCRYPTION_KEYS. It may be "
        "stopped at any moment and run again. Exit status: 0 done, 1 failed, 2 wrong usage, 3 one cannot be opened."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Open everything, and change nothing.")
        parser.add_argument("--json", action="store_true", help="Write JSON.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        try:
            done = rotate(is_dry=dry_run)
        except EncryptionKeysError as error:
            raise CommandError(str(error)) from error
        if json:
            self._write_json(done, dry_run)
        else:
            self._write_text(done, dry_run)
        if done.unreadable:
            sys.exit(UNREADABLE)

    def _write_json(self, done: Rotation, dry_run: bool) -> None:
        told = {"dry_run": dry_run, "rotated": done.rotated, "sealed_under": dict(done.sealed_under)}
        self.stdout.write(json.dumps(told | {"unreadable": done.unreadable}, indent=2))

    def _write_text(self, done: Rotation, dry_run: bool) -> None:
        said = "would be sealed" if dry_run else "were sealed"
        self.stdout.write(f"{done.rotated} secrets {said} anew.")
        for name, count in sorted(done.sealed_under.items()):
            self.stdout.write(f"  under {name or 'no key'}: {count}")
        for name in done.unreadable:
            self.stderr.write(f"{name}: the secret cannot be opened with the configured encryption keys.")
