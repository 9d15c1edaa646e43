"""An installation with a page and a task that break, and tell in what they raise whatever they know."""

import os
from typing import NoReturn

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.urls import get_resolver, path
from django.views.decorators.csrf import csrf_exempt

from humblytics.asgi import application
from humblytics.celery import app
from sites import about

__all__ = ["app", "application"]


class FaultError(Exception):
    pass


@login_not_required
@csrf_exempt
def broken(request: HttpRequest) -> NoReturn:
    about.note(site="shop.example")
    # What stands in a variable is known to whoever looks at a traceback's.
    _variables = request.headers["Cookie"], request.headers["User-Agent"], request.body
    told = request.META["HTTP_X_FORWARDED_FOR"], os.environ["STRIPE_KEY"], settings.SECRET_KEY
    raise FaultError(f"{told} {request.build_absolute_uri()}")


@app.task(name="broken")
def broken_task(*told: str) -> NoReturn:
    about.note(account="acct_1")
    raise FaultError(f"{told} {settings.METRICS_TOKEN}")


get_resolver().url_patterns.insert(0, path("broken/", broken))
