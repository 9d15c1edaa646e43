"""The words that tests are told apart by."""

from django.db import models


class State(models.TextChoices):
    DRAFT = "draft", "Draft"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped"
    ARCHIVED = "archived", "Archived"


class Kind(models.TextChoices):
    """Who makes the variants: Humblytics on the page, another page, or the page's own code."""

    CHANGES = "changes", "Changes on the page"
    REDIRECT = "redirect", "Another page (split URL)"
    CODE = "code", "The page’s own code"


class Goal(models.TextChoices):
    """What a visitor does that counts. What the pattern of each means, `splittests.goals` says."""

    REVENUE = "revenue", "Revenue"
    PAGE = "page", "A page is visited"
    CLICK = "click", "Something is clicked"
    FORM = "form", "A form is sent"
    EVENT = "event", "A custom event happens"


class StartedError(Exception):
    """What has been started cannot be changed any more: a change makes a new version."""
