from django.db import models

from tracking.models.visits import OfSite


class Presence(OfSite):
    """Which visit a visitor is in: the row whose lock makes two simultaneous hits one visit."""

    pk = models.CompositePrimaryKey("site_id", "visitor")
    visitor = models.UUIDField()
    visit_id = models.UUIDField()
    # Not indexed: each hit moves it, and PostgreSQL updates a row in place only when no index has to follow.
    last_at = models.DateTimeField()
    patience = models.DurationField(help_text="How long before the last hit its visit may have paused.")

    def __str__(self) -> str:
        return str(self.visitor)


class DailySalt(models.Model):
    """The key of one day's visitor hashes, destroyed after 48 hours."""

    day = models.DateField(primary_key=True)
    salt = models.BinaryField()

    def __str__(self) -> str:
        return str(self.day)
