"""The mail with the link for a new password.

The worker writes it, so that a request for an address that nobody has takes as long as any other.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm


def send_new_password(email: str) -> None:
    """Send a link to the account of this address, if there is one that is active and has a password."""
    form = PasswordResetForm({"email": email})
    if form.is_valid():
        # The host comes from the settings, never from a request.
        form.save(
            domain_override=urlsplit(settings.BASE_URL).netloc,
            use_https=settings.SECURE,
            subject_template_name="accounts/new_password_subject.txt",
            email_template_name="accounts/new_password_mail.txt",
        )
