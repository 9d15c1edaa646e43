"""Second factors and passkeys: showing one to log in or to confirm, adding, and removing. All flows are allauth's."""

from typing import Any

from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as ReauthenticateByCodeView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from django.http import HttpResponse


class _SecondFactor(AuthenticateView):  # type: ignore[misc]
    template_name = "accounts/second_factor.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kinds = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        has = {"has_app": Authenticator.Type.TOTP in kinds, "has_passkey": Authenticator.Type.WEBAUTHN in kinds}
        # allauth means this server by `site`; the templates mean one of the user's.
        return {**super().get_context_data(**kwargs), **has, "site": None}


class _Confirm(ReauthenticateView):  # type: ignore[misc]
    template_name = "accounts/confirm.html"


class _ConfirmByCode(ReauthenticateByCodeView):  # type: ignore[misc]
    template_name = "accounts/confirm_by_code.html"


class _ConfirmByPasskey(ReauthenticateWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/confirm_by_passkey.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ways = self.get_reauthentication_alternatives()
        return {**super().get_context_data(**kwargs), "reauthentication_alternatives": ways}

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        return response


class _AddCode(ActivateTOTPView):  # type: ignore[misc]
    template_name = "accounts/add_code.html"


class _RemoveCode(DeactivateTOTPView):  # type: ignore[misc]
    template_name = "accounts/remove_code.html"


class _RecoveryCodes(ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = "accounts/recovery_codes.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        told = super().get_context_data(**kwargs)
        return {**told, "codes": "\n".join(told["unused_codes"])}


class _RenewRecoveryCodes(GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = "accounts/renew_recovery_codes.html"


class _AddPasskey(AddWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/add_passkey.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # allauth's drops the form that has mistakes.
        return {**super().get_context_data(**kwargs), **kwargs}


class _RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/remove_passkey.html"


second_factor = _SecondFactor.as_view()
log_in_with_passkey = LoginWebAuthnView.as_view()
confirm = _Confirm.as_view()
confirm_by_code = _ConfirmByCode.as_view()
confirm_by_passkey = _ConfirmByPasskey.as_view()
add_code = _AddCode.as_view()
remove_code = _RemoveCode.as_view()
recovery_codes = _RecoveryCodes.as_view()
renew_recovery_codes = _RenewRecoveryCodes.as_view()
add_passkey = _AddPasskey.as_view()
remove_passkey = _RemovePasskey.as_view()
