"""Every table's key starts with the site, so that the tables can be spread over machines by site.

Rows refer to each other by (site, id) without foreign keys in the database: the recorder writes a visit, its
views and its events in one statement, and a constraint would only make each hit slower.
"""

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models

from sites.models import Site
from sites.periods import Period


class OfSite(models.Model):
    site = models.ForeignKey(Site, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")

    class Meta:
        abstract = True


class VisitQuerySet(models.QuerySet["Visit"]):
    def for_site(self, site: Site) -> Self:
        return self.filter(site=site)

    def during(self, period: Period) -> Self:
        """Visits that began in the period."""
        return self.filter(started_at__gte=period.start_at, started_at__lt=period.end_at)


class Visit(OfSite):
    """What one visitor did without half an hour's pause, with the source and the place it began with."""

    # In the database the primary key is (site_id, id): see the first migration.
    id = models.UUIDField(primary_key=True)
    visitor = models.UUIDField(help_text="Keyed hash of site, address and browser; its key is gone after 48 hours.")
    started_at = models.DateTimeField()
    last_at = models.DateTimeField()
    views = models.PositiveIntegerField()
    entry_path = models.TextField()
    exit_path = models.TextField()
    hostname = models.TextField()
    channel = models.TextField()
    source = models.TextField()
    referrer = models.TextField()
    utm_source = models.TextField()
    utm_medium = models.TextField()
    utm_campaign = models.TextField()
    utm_term = models.TextField()
    utm_content = models.TextField()
    click_id = models.TextField()
    country = models.CharField(max_length=2, help_text="ISO 3166-1, empty when unknown.")
    region = models.TextField()
    city = models.TextField()
    browser = models.TextField()
    os = models.TextField()
    device = models.TextField()
    variants = ArrayField(models.IntegerField(), help_text="Split-test variants that this visit was shown.")

    objects: ClassVar[models.Manager["Visit"]] = VisitQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["site", "started_at"], name="visit_by_start"),
            models.Index(fields=["site", "visitor"], name="visit_by_visitor"),
        ]

    def __str__(self) -> str:
        return f"{self.source or self.channel} → {self.entry_path}"


class ViewQuerySet(models.QuerySet["View"]):
    def for_site(self, site: Site) -> Self:
        return self.filter(site=site)

    def during(self, period: Period) -> Self:
        return self.filter(at__gte=period.start_at, at__lt=period.end_at)


class View(OfSite):
    """One page seen. Its id was made in the browser, which also hands it to the checkout."""

    # In the database the primary key is (site_id, id): see the first migration.
    id = models.UUIDField(primary_key=True)
    visit_id = models.UUIDField()
    visitor = models.UUIDField()
    at = models.DateTimeField()
    hostname = models.TextField()
    path = models.TextField()
    variants = ArrayField(models.IntegerField(), help_text="Split-test variants that this page showed.")
    engaged_ms = models.PositiveIntegerField(
        db_default=0, help_text="How long the page was in front of the visitor, in milliseconds."
    )
    scrolled = models.PositiveSmallIntegerField(
        db_default=0, help_text="How far down the page the visitor got, in percent of it."
    )

    objects: ClassVar[models.Manager["View"]] = ViewQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["site", "at"], name="view_by_time"),
            # Few views show a split test, and its results need just those.
            models.Index(fields=["site", "at"], name="view_showing_variants", condition=~models.Q(variants=[])),
        ]

    def __str__(self) -> str:
        return self.path


class Exposure(OfSite):
    """What is left of a page view that was deleted for its age: which split-test variants it showed, and to whom.

    A visitor is a number that nobody can trace any more, and the results of old tests are still counted from it.
    """

    pk = models.CompositePrimaryKey("site_id", "id")
    id = models.UUIDField()
    visitor = models.UUIDField()
    at = models.DateTimeField()
    variants = ArrayField(models.IntegerField())

    class Meta:
        indexes = [models.Index(fields=["site", "at"], name="exposure_by_time")]

    def __str__(self) -> str:
        return f"{self.variants} to {self.visitor}"


class Event(OfSite):
    """Something a page, or the site's own server, reported by name: `Humblytics.track("signup")`."""

    # In the database the primary key is (site_id, id): see the first migration.
    id = models.UUIDField(primary_key=True)
    view_id = models.UUIDField()
    visit_id = models.UUIDField(null=True, help_text="Empty when the visit was not known yet.")
    visitor = models.UUIDField()
    at = models.DateTimeField()
    name = models.TextField()
    path = models.TextField()
    props = models.JSONField(db_default={}, help_text="What was told about it: names with texts, numbers or truths.")

    class Meta:
        indexes = [models.Index(fields=["site", "at"], name="event_by_time")]

    def __str__(self) -> str:
        return self.name
