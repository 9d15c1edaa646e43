import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction

from sites.forms import SiteForm
from sites.models import User
from sites.script_tag import script_tag


class Command(BaseCommand):
    help = "Add a site, and print the script tag for its pages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("domain", help="such as example.com")
        parser.add_argument("--timezone", default="UTC", help="where the site's days begin, such as Europe/Berlin")
        parser.add_argument("--owner", metavar="EMAIL", type=_email, help="who owns it; made if unknown")

    @transaction.atomic
    def handle(self, *args: Any, domain: str, timezone: str, owner: str | None, **options: Any) -> None:
        form = SiteForm({"domain": domain, "timezone": timezone})
        if form.errors.get_json_data
