"""Confirming who one is, once more, before something that cannot be taken back.

To have logged in counts, too: what counts is that a password, a code or a passkey was shown in the last minutes.
"""

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class NotConfirmedError(Exception):
    """Somebody who may do this has to confirm first who they are."""


def confirming(view: View) -> View:
    """Mark a view of a site that its members open only after confirming who they are: `access` sees to it."""
    view.is_confirming = True  # type: ignore[attr-defined]
    return view


def is_confirmed(request: HttpRequest) -> bool:
    records = get_authentication_records(request, request.user if request.user.is_authenticated else None)
    return bool(records) and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def require(request: HttpRequest) -> None:
    """Raise NotConfirmedError if it was too long ago; the middleware answers with `ask`."""
    if not is_confirmed(request):
        raise NotConfirmedError


def ask(request: HttpRequest) -> HttpResponse:
    """Lead to the page that asks, and from there back to where the form or link was.

    The form itself is not kept, as allauth would in the session: it may hold a key.
    """
    view = request.resolver_match.func if request.resolver_match else None
    is_page = request.method == "GET" and not getattr(view, "is_exporting", False)
    target = request.get_full_path() if is_page else _came_from(request)
    if not is_page:
        messages.info(request, "Nothing has been done yet. Confirm that it is you, then do it again.")
    address = f"{get_adapter().get_reauthentication_methods(request.user)[0]['url']}?{urlencode({'next': target})}"
    return HttpResponseClientRedirect(address) if request.headers.get("HX-Request") else redirect(address)


def _came_from(request: HttpRequest) -> str:
    """The page of ours that the request was sent from; the list of sites if it does not say."""
    said = request.headers.get("Referer", "")
    if said and url_has_allowed_host_and_scheme(said, {request.get_host()}):
        told = urlsplit(said)
        return f"{told.path}?{told.query}" if told.query else told.path
    return "/"
