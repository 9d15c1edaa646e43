"""Where allauth asks how things are done here."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.core import context
from django.contrib import messages
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from sites import sessions
from sites.accounts import confirmation, email_change, limits
from sites.audit import Action, note
from sites.models import User

# What allauth says, by its templates; of the others nothing is said.
MESSAGES = {
    "account/messages/email_confirmed.txt": "From now on you log in with the new address.",
    "mfa/messages/totp_activated.txt": "From now on you need a code of your app to log in.",
    "mfa/messages/totp_deactivated.txt": "No code of an app is needed any more.",
    "mfa/messages/webauthn_added.txt": "The passkey is added.",
    "mfa/messages/webauthn_removed.txt": "The passkey is removed.",
    "mfa/messages/recovery_codes_generated.txt": "These are your new recovery codes. Keep them where you find them.",
}
# What the log says, by the mail that allauth would send.
CHANGES = {
    "mfa/email/totp_activated": (Action.FACTOR_ADDED, "codes of an app"),
    "mfa/email/totp_deactivated": (Action.FACTOR_REMOVED, "codes of an app"),
    "mfa/email/webauthn_added": (Action.FACTOR_ADDED, "passkey"),
    "mfa/email/webauthn_removed": (Action.FACTOR_REMOVED, "passkey"),
    "mfa/email/recovery_codes_generated": (Action.CODES_RENEWED, ""),
}
WAYS = {
    "reauthenticate": "Use the password",
    "mfa_reauthenticate": "Use a code of the app, or a recovery code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}
FACTORS = {"totp": "code of an app", "recovery_codes": "recovery code", "webauthn": "passkey"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is wrong.",
        "incorrect_password": "This is not your password.",
        "incorrect_code": "This code is wrong, or was used already.",
        "duplicate_email": "This is your address already, or the one that you have asked for.",
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Give the user whose password it is. A known and an unknown account take the same ways through this."""
        email = credentials["email"]
        limits.count(request, limits.LOG_IN, email)
        user = authenticate(request, **credentials)
        if isinstance(user, User):
            limits.give_back(request, limits.LOG_IN, email)
            return user
        # What was typed may be a password in the wrong field: it is only told if it is somebody's address.
        known = User.objects.filter(email=email.lower()).first()
        note(known or "nobody known", Action.LOGIN_FAILED, None, "wrong password")
        return None

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        sessions.begin(request)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        note(user, Action.LOGGED_IN, None, _how(request, user))
        response: HttpResponse = super().post_login(request, user, **kwargs)
        return response

    def reauthenticate(self, user: User, password: str) -> bool:
        limits.count(context.request, limits.CONFIRM, user.email)
        if not user.check_password(password):
            return False
        limits.give_back(context.request, limits.CONFIRM, user.email)
        return True

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Note what allauth would mail. To an address that is changed it is mailed, too."""
        if template_prefix == "account/email/email_changed":
            assert context
            old, new = context["from_email"], context["to_email"]
            note(user, Action.EMAIL_CHANGED, None, f"{old} to {new}")
            transaction.on_commit(lambda: email_change.tell_old(old, new))
        else:
            action, subject = CHANGES[template_prefix]
            note(user, action, None, subject)

    def send_confirmation_mail(
        self, request: HttpRequest, emailconfirmation: EmailConfirmationHMAC, signup: bool
    ) -> None:
        address = emailconfirmation.email_address
        if not email_change.send_link(emailconfirmation):
            email_change.cancel(address.user)
            messages.error(request, f"The mail to {address.email} could not be sent. Nothing has changed.")

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Make the address the one that its user logs in with; tell whether it is nobody else's."""
        if email_change.is_taken(email_address):
            return False
        try:
            with transaction.atomic():
                return bool(super().confirm_email(request, email_address))
        except IntegrityError:
            # Somebody else's in this moment.
            return False

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        return [{**way, "description": WAYS[way["id"]]} for way in super().get_reauthentication_methods(user)]

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        return not confirmation.is_confirmed(context.request)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.error(request, "This account is not active.")
        return redirect("login")

    def is_safe_url(self, url: str | None) -> bool:
        # Not to other hosts that the server answers to, as allauth would.
        request = context.request
        return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())

    def add_message(
        self, request: HttpRequest, level: int, message_template: str = "", *args: Any, message: str = "", **kwargs: Any
    ) -> None:
        if text := message or MESSAGES.get(message_template):
            messages.add_message(request, level, text)


def _how(request: HttpRequest, user: User) -> str:
    """Name what was shown to log in."""
    records = get_authentication_records(request, user)
    return " and ".join(FACTORS.get(each.get("type", ""), each["method"]) for each in records) or "invitation"
