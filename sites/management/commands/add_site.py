import argparse
import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import MaxLengthValidator, validate_email
from django.db import transaction

from sites import audit
from sites.forms import SiteForm
from sites.models import User
from sites.script_tag import script_tag


def email(text: str) -> str:
    try:
        validate_email(text)
        MaxLengthValidator(User._meta.get_field("email").max_length)(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not an e-mail address") from error
    return text.lower()


class Command(BaseCommand):
    help = "Add a site, and print the script tag for its pages."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", help="such as example.com")
        parser.add_argument("--timezone", default="UTC", help="where the site's days begin, such as Europe/Berlin")
        parser.add_argument("--owner", metavar="EMAIL", type=email, help="who owns the site; made if new")

    @transaction.atomic
    def handle(self, *args: Any, domain: str, timezone: str, owner: str | None, **options: Any) -> None:
        form = SiteForm({"domain": domain, "timezone": timezone})
        if not form.is_valid():
            known = form.has_error("domain", "unique")
            sentences = " ".join(f"{name}: {error}" for name, errors in form.errors.items() for error in errors)
            raise CommandError(sentences, returncode=1 if known else 2)
        site = form.add(self.user(owner) if owner else None)
        audit.note(audit.COMMAND_LINE, audit.Action.SITE_ADDED, site, f"owner {owner}" if owner else "")
        self.stdout.write(script_tag(site))

    def user(self, email: str) -> User:
        """Give the user with this address, made now, with a password that is printed, if there is none."""
        known = User.objects.filter(email=email).first()
        if known:
            return known
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(email, password)
        self.stdout.write(f"New user {email}, password {password} (shown only this once).")
        return user
