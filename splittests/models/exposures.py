from django.db import models

from splittests.models.definitions import SplitTest, Variant
from tracking.models.visits import OfSite

# In the place of a metric: the test's own goal.
GOAL = 0


class Exposed(OfSite):
    """Somebody whom a test showed a variant: one row per test and day-visitor, gathered from the page views.

    `variant` is empty for who was shown two. Where they came from and what with is that of the first such view's
    visit, and empty where that had been deleted already.
    """

    pk = models.CompositePrimaryKey("site_id", "test_id", "visitor")
    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    visitor = models.UUIDField()
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    first_at = models.DateTimeField()
    device = models.TextField()
    country = models.CharField(max_length=2)
    channel = models.TextField()

    class Meta:
        verbose_name_plural = "exposed"

    def __str__(self) -> str:
        return str(self.visitor)


class Audience(OfSite):
    """How many were shown a variant, by one thing that they have in common.

    `variant_id` is 0 for who was shown two. `dimension` is device, country, channel or quarter: the quarter of an hour
    in which they were first shown one, as the seconds since 1970 at which it began.
    """

    pk = models.CompositePrimaryKey("site_id", "test_id", "dimension", "value", "variant_id")
    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    dimension = models.CharField(max_length=7)
    value = models.TextField()
    variant_id = models.BigIntegerField()
    visitors = models.IntegerField()

    class Meta:
        verbose_name_plural = "audience"

    def __str__(self) -> str:
        return f"{self.dimension} {self.value}: {self.visitors}"


class Converted(OfSite):
    """Somebody who was shown a variant and has reached a goal that is no revenue; `metric_id` is GOAL or a Metric's."""

    pk = models.CompositePrimaryKey("site_id", "test_id", "metric_id", "visitor")
    test = models.ForeignKey(SplitTest, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    metric_id = models.BigIntegerField()
    visitor = models.UUIDField()
    at = models.DateTimeField(help_text="The first time.")

    class Meta:
        verbose_name_plural = "converted"

    def __str__(self) -> str:
        return str(self.visitor)
