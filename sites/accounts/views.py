"""Logging in and out by password, and the page of somebody's own account."""

from typing import Any

from allauth.account.views import LoginView
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import PasswordChangeView, PasswordResetConfirmView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh
from kombu.exceptions import OperationalError

from sites import members, sessions, tasks
from sites.access import signed_in
from sites.accounts import confirmation, email_change, limits
from sites.accounts.forms import ChangePasswordForm, EmailForm, NewPasswordTwiceForm, ResetForm
from sites.audit import Action, note
from sites.models import Membership, Session, Site, User


class _LogIn(LoginView):  # type: ignore[misc]
    template_name = "registration/login.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # allauth means this server by `site`; the templates mean one of the user's.
        return {**super().get_context_data(**kwargs), "site": None}


@login_not_required
def log_in(request: HttpRequest) -> HttpResponseBase:
    # A panel of a page whose session has ended is redirected here: the login form belongs in the window,
    # not in the panel, so the whole page is loaded again.
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    response: HttpResponseBase = _LogIn.as_view()(request)
    return response


@login_not_required
def log_in_to_admin(request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
    """In place of the admin's own login: the one for all."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
    if not request.user.is_staff:
        raise PermissionDenied
    return redirect("admin:index")


@login_not_required
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session, also that of somebody who has got no further than the password."""
    logout(request)
    return redirect("login")


@login_not_required
def forgotten(request: HttpRequest) -> HttpResponse:
    """Send a link for a new password. The answer, and the time it takes, is the same for addresses nobody has."""
    form = ResetForm(request.POST or None)
    is_sent = form.is_valid() and settings.HAS_MAIL_SERVER
    if is_sent:
        email = form.cleaned_data["email"].lower()
        limits.count(request, limits.RESET, email)
        try:
            tasks.send_new_password.delay(email)
        except OperationalError:
            is_sent = False
            form.add_error(None, "The mail cannot be sent just now. Try again in some minutes.")
    context = {"form": form, "is_sent": is_sent, "has_mail_server": settings.HAS_MAIL_SERVER, "site": None}
    response = render(request, "accounts/forgotten.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


class _NewPassword(PasswordResetConfirmView):
    template_name = "accounts/new_password.html"
    form_class = NewPasswordTwiceForm
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        Session.objects.filter(user=form.user).delete()
        note(form.user, Action.PASSWORD_CHANGED, None, "by a link that was mailed")
        messages.success(self.request, "Your password is changed. Log in with it.")
        return response


@login_not_required
def new_password(request: HttpRequest, uidb64: str, token: str) -> HttpResponseBase:
    response = _NewPassword.as_view()(request, uidb64=uidb64, token=token)
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "private, no-store"
    return response


def account(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    kinds = Authenticator.Type
    context = {
        "passkeys": [each for each in factors if each.type == kinds.WEBAUTHN],
        "app": next((each for each in factors if each.type == kinds.TOTP), None),
        "codes_left": next(
            (len(each.wrap().get_unused_codes()) for each in factors if each.type == kinds.RECOVERY_CODES), None
        ),
        "devices": sessions.devices(request, user),
        "memberships": Membership.objects.filter(user=user).select_related("site").order_by("site__domain"),
    }
    return render(request, "accounts/account.html", context)


class _ChangePassword(PasswordChangeView):
    template_name = "accounts/change_password.html"
    form_class = ChangePasswordForm
    success_url = reverse_lazy("account")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        limits.count(request, limits.CONFIRM, signed_in(request).email)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        user = signed_in(self.request)
        limits.give_back(self.request, limits.CONFIRM, user.email)
        sessions.end_others(self.request, user)
        note(user, Action.PASSWORD_CHANGED, None)
        messages.success(self.request, "Your password is changed. All your other sessions are ended.")
        return response


change_password = _ChangePassword.as_view()


def change_email(request: HttpRequest) -> HttpResponse:
    """Ask for another address to log in with. It is the old one until the link is opened that the new one gets."""
    confirmation.require(request)
    user = signed_in(request)
    email_change.know_present(user)
    form = EmailForm(user, request.POST or None)
    if settings.HAS_MAIL_SERVER and form.is_valid():
        limits.count(request, limits.EMAIL, user.email)
        form.save(request)
        return redirect("account_email")
    context = {"form": form, "wanted": email_change.wanted(user), "has_mail_server": settings.HAS_MAIL_SERVER}
    return render(request, "accounts/change_email.html", context)


@require_POST
def cancel_email(request: HttpRequest) -> HttpResponse:
    email_change.cancel(signed_in(request))
    messages.success(request, "The address stays as it is.")
    return redirect("account")


@login_not_required
def confirm_email(request: HttpRequest, key: str) -> HttpResponse:
    """Change the address, for whoever has the link, which was mailed to the new one."""
    change = email_change.asked_for(key)
    if change is None:
        response = render(request, "accounts/email_gone.html", {"site": None}, status=404)
    elif request.method == "POST":
        if not change.confirm(request):
            messages.error(request, "Somebody else logs in with this address. Nothing has changed.")
        response = redirect("account" if request.user.is_authenticated else "login")
    else:
        context = {"old": change.email_address.user.email, "new": change.email_address.email, "site": None}
        response = render(request, "accounts/confirm_email.html", context)
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
def end_session(request: HttpRequest, name: str) -> HttpResponse:
    user = signed_in(request)
    if not sessions.end(user, name):
        raise Http404
    note(user, Action.SESSION_ENDED, None, "one")
    messages.success(request, "Whoever used that session has to log in anew.")
    return redirect("account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    ended = sessions.end_others(request, user)
    note(user, Action.SESSION_ENDED, None, f"all but one: {ended}")
    messages.success(request, "You are logged in here only.")
    return redirect("account")


def delete(request: HttpRequest) -> HttpResponse:
    """Delete the own account; its entries in the logs stay."""
    confirmation.require(request)
    user = signed_in(request)
    if request.method == "POST":
        with transaction.atomic():
            # Not while somebody else gives up one of the sites.
            lock = Site.objects.select_for_update(no_key=True).filter(memberships__user=user).order_by("pk")
            locked = list(lock)
            alone = members.owned_alone(user)
            if not alone:
                for site in locked:
                    note(user, Action.LEFT, site, "account deleted")
                note(user, Action.ACCOUNT_DELETED, None)
                # The messages' framework and the session still know the user.
                logout(request)
                User.objects.filter(pk=user.pk).delete()
                return redirect("login")
    return render(request, "accounts/delete.html", {"alone": members.owned_alone(user)})
