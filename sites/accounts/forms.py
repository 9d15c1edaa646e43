import datetime as dt
from typing import Any

from allauth.account.forms import AddEmailForm
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import ReauthenticateForm as AllauthReauthenticateForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as AllauthConfirmingCodeForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError

from sites.accounts import limits
from sites.audit import Action, note
from sites.models import User

# An app's code holds for its own half minute, the one before and the one after.
CODE_HOLDS = dt.timedelta(seconds=90)


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    """E-mail address and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail address"
        self.fields["login"].widget = forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
        self.fields["password"].widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})
        self.fields["password"].help_text = ""

    def add_prefix(self, field_name: str) -> str:
        # Password managers know the field by this name.
        return "username" if field_name == "login" else super().add_prefix(field_name)


class ReauthenticateForm(AllauthReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].widget = forms.PasswordInput(
            attrs={"autocomplete": "current-password", "autofocus": True}
        )
        self.fields["password"].help_text = ""


class ResetForm(forms.Form):
    """Whose password is to be set anew."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class EmailForm(AddEmailForm):  # type: ignore[misc]
    """The address that somebody wants to log in with."""

    email = forms.EmailField(
        label="New e-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class NewPasswordForm(forms.Form):
    """The first password of an account. It is typed once: browsers can show it, and it can be set anew."""

    password = forms.CharField(
        label="Choose a password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        self.fields["password"].help_text = " ".join(password_validators_help_texts())

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self._user)
        return password


class NewPasswordTwiceForm(SetPasswordForm):  # type: ignore[type-arg]
    """Another password, after a link that was mailed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())
        self.fields["new_password2"].label, self.fields["new_password2"].help_text = "The same once more", ""


class ChangePasswordForm(NewPasswordTwiceForm, PasswordChangeForm):
    """Another password, for who knows the one before."""


def _for_code(field: forms.Field) -> None:
    field.label = "Code"
    field.widget = forms.TextInput(
        attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True, "spellcheck": "false"}
    )


class _Limited(AuthenticateForm):  # type: ignore[misc]
    """A code of an app or a recovery code, each good for once, also where several servers look at it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _for_code(self.fields["code"])

    def clean_code(self) -> str:
        account = str(self.user.pk)
        limits.count(context.request, limits.SECOND_FACTOR, account)
        try:
            code: str = super().clean_code()
            digits = "".join(each for each in code if each.isdecimal())
            is_of_app = self.authenticator.type == Authenticator.Type.TOTP
            if is_of_app and not limits.is_first_use(f"code|{account}|{digits}", CODE_HOLDS):
                raise get_adapter().validation_error("incorrect_code")
        except ValidationError:
            note(self.user, Action.LOGIN_FAILED, None, "wrong code")
            raise
        limits.give_back(context.request, limits.SECOND_FACTOR, account)
        return code


class CodeForm(_Limited):
    """The second factor, to log in."""


class ConfirmingCodeForm(_Limited, AllauthConfirmingCodeForm):  # type: ignore[misc]
    """A code in place of the password, to confirm who one is."""


class FirstCodeForm(ActivateTOTPForm):  # type: ignore[misc]
    """That the app is set up, shown by a code of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _for_code(self.fields["code"])


class PasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = forms.CharField(required=False, max_length=100, help_text="For you, to tell them apart.")
        self.fields["name"] = name
        alone = self.fields["passwordless"]
        alone.label, alone.initial = "Also log in with it alone, without the password", True
        alone.help_text = "The device then asks for a fingerprint, a face or a PIN."
