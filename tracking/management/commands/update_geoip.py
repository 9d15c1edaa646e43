import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tracking.geoip import FetchError, fetch, install

USAGE = 2


class Command(BaseCommand):
    help = (
        "Replace the file of places at GEOIP_PATH by a fresh one, from GEOIP_URL or a file. A file that is no good "
        "leaves the old one where it is. Exit status: 0 done, 1 failed, 2 wrong usage."
    )
    # They would ask for the file that is about to come.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="an .mmdb, .mmdb.gz or .tar.gz that you have downloaded yourself")
        parser.add_argument("--json", action="store_true", help="write JSON")

    def handle(self, *args: Any, file: Path | None, json: bool, **options: Any) -> None:
        if not settings.GEOIP_PATH:
            raise CommandError("Set GEOIP_PATH to where the file is to be.", returncode=USAGE)
        if not (file or settings.GEOIP_URL):
            raise CommandError("Set GEOIP_URL to where a file can be fetched, or name one by --file.", returncode=USAGE)
        path = Path(settings.GEOIP_PATH)
        try:
            if file:
                with file.open("rb") as received:
                    fetched = install(received, path)
            else:
                fetched = fetch(settings.GEOIP_URL, path, timezone.now().date())
        except FetchError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        if json:
            credit = fetched.credit and fetched.credit._asdict()
            self.stdout.write(json_format.dumps({"path": str(path), **asdict(fetched), "credit": credit}, default=str))
        else:
            self.stdout.write(f"{path} is now {fetched.type} of {fetched.built_on}, {fetched.bytes:,} bytes.")
            if fetched.credit:
                self.stdout.write(f"The dashboard says below its places: {fetched.credit.text}, {fetched.credit.url}")
            else:
                self.stdout.write("Show beside the dashboard what the file's licence asks for.")
