"""What has been counted and will not change any more, so that no page has to count it again."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tracking.models.visits import OfSite


class Counts(OfSite):
    """A span of time, split by one dimension: the arrays say the same value's figures at the same place.

    A visitor is counted once a day and value, so the figures of several days add up. `dimension` is a name of
    `dimensions`, "total", or "goal:" with a goal's number; an array is NULL where `counting.FIGURES` has no such
    figure.
    """

    dimension = models.TextField()
    values = ArrayField(models.TextField())
    visitors = ArrayField(models.IntegerField())
    visits = ArrayField(models.IntegerField(), null=True)
    views = ArrayField(models.IntegerField(), help_text="Of a page, how often it was seen; of an event, how often.")
    bounces = ArrayField(models.IntegerField(), null=True, help_text="Visits of one view.")
    seconds = ArrayField(
        models.BigIntegerField(), null=True, help_text="Of visits, how long they took; of pages, in front."
    )
    # Not every view tells how long it was in front: a browser may die, or be too old.
    measured = ArrayField(models.IntegerField(), null=True, help_text="Of pages, the views that told how long.")
    scrolled = ArrayField(
        models.BigIntegerField(), null=True, help_text="Of pages, the sum of the percentages those saw."
    )

    class Meta:
        abstract = True


class DailyCount(Counts):
    pk = models.CompositePrimaryKey("site_id", "dimension", "day")
    day = models.DateField(help_text="In the site's time zone.")

    def __str__(self) -> str:
        return f"{self.dimension} on {self.day}"


class MonthlyCount(Counts):
    """The sum of a month's days, so that a year is read from few rows. There is none of the total and of goals."""

    pk = models.CompositePrimaryKey("site_id", "dimension", "month")
    month = models.DateField(help_text="Its first day.")

    def __str__(self) -> str:
        return f"{self.dimension} in {self.month:%B %Y}"


class Counted(OfSite):
    """How far the counting has got: days up to `last_on`, that one included, have their DailyCount.

    Months that ended by then have their MonthlyCount.
    """

    pk = models.CompositePrimaryKey("site_id", "dimension")
    dimension = models.TextField()
    last_on = models.DateField()
    # After a change of the site's zone its days are others, and what was counted does not count.
    zone = models.TextField(help_text="The site's time zone when it was counted.")

    def __str__(self) -> str:
        return f"{self.dimension} up to {self.last_on}"


class RefusedHits(OfSite):
    """How many hits were not taken on a day of UTC, and why; nothing else is kept of them."""

    pk = models.CompositePrimaryKey("site_id", "day", "reason")
    day = models.DateField()
    reason = models.TextField(help_text="A value of `hits.Refusal`.")
    hits = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.hits} × {self.reason} on {self.day}"


class BotView(OfSite):
    """A view that was refused because a program seemed to sit before the browser, kept for some days.

    A payment that names it can then say why it is credited to nobody.
    """

    pk = models.CompositePrimaryKey("site_id", "view_id")
    view_id = models.UUIDField()
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.view_id)
