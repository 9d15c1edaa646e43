"""Changing the address that somebody logs in with: it takes a link that is mailed to the new one, and the old is told.

allauth keeps the new address until then. For it, the present one is a row, too; all else here goes by the user's own.
"""

import logging
import smtplib

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from sites.models import User

log = logging.getLogger(__name__)


def know_present(user: User) -> None:
    """Let allauth take the address that the user logs in with for theirs, whoever has set it."""
    EmailAddress.objects.filter(user=user, verified=True).exclude(email=user.email).delete()
    EmailAddress.objects.filter(email=user.email).exclude(user=user).delete()
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})


def wanted(user: User) -> EmailAddress | None:
    """The address that the user has asked for and not confirmed yet."""
    return EmailAddress.objects.get_new(user)


def asked_for(key: str) -> EmailConfirmationHMAC | None:
    """The change whose link has this key; None if it has none, has expired, was used or cancelled."""
    return EmailConfirmationHMAC.from_key(key)


def cancel(user: User) -> None:
    EmailAddress.objects.filter(user=user, verified=False).delete()


def is_taken(address: EmailAddress) -> bool:
    """Tell whether somebody else logs in with the address, by now."""
    return User.objects.filter(email=address.email).exclude(pk=address.user_id).exists()


def send_link(change: EmailConfirmationHMAC) -> bool:
    """Mail the link to the new address; tell whether the mail server took it."""
    # The host comes from the settings, never from a request.
    link = f"{settings.BASE_URL}{reverse('account_confirm_email', args=[change.key])}"
    told = {"old": change.email_address.user.email, "new": change.email_address.email, "link": link}
    return _send("Your new e-mail address", "accounts/confirm_email_mail.txt", told, change.email_address.email)


def tell_old(old: str, new: str) -> bool:
    """Mail to the old address that it is that no more; tell whether the mail server took it."""
    told = {"old": old, "new": new}
    return _send("Your e-mail address was changed", "accounts/email_changed_mail.txt", told, old)


def _send(subject: str, template: str, told: dict[str, str], to: str) -> bool:
    try:
        text = render_to_string(template, {**told, "server": settings.BASE_URL})
        EmailMessage(f"{subject} in Humblytics", text, to=[to]).send()
    except (smtplib.SMTPException, OSError) as error:
        # The error's own text may hold the address.
        log.warning("%s was not sent: %s", template, type(error).__name__)
        return False
    return True
