from django.db import models

from splittests.models.definitions import SplitTest, Variant
from tracking.models.visits import OfSite


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
