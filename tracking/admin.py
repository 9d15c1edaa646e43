"""What came in, to be looked at but not changed."""

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from sites.models import Site
from tracking.models import Event, View, Visit

DAYS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days"}
