"""What is answered when somebody has to confirm who they are, or has tried too often."""

import math
from collections.abc import Callable

from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from sites import sessions
from sites.accounts import confirmation
from sites.accounts.confirmation import NotConfirmedError
from sites.accounts.limits import TooManyTriesError


class AccountsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        # Nobody's session is looked up for this.
        if request.session.accessed and request.user.is_authenticated:
            sessions.see(request)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, TooManyTriesError):
            seconds = math.ceil(error.wait.total_seconds())
            minutes = math.ceil(seconds / 60)
            response = render(request, "429.html", {"minutes": minutes, "site": None}, status=429)
            response["Retry-After"] = str(seconds)
            return response
        # Before allauth sees it, which would keep the whole request in the session, its address included.
        if isinstance(error, NotConfirmedError | ReauthenticationRequired):
            if request.user.is_authenticated:
                return confirmation.ask(request)
            return redirect_to_login(request.get_full_path())
        return None
