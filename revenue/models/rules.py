import datetime as dt
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from revenue.attribution import WINDOW
from sites.models import Site

LONGEST_WINDOW = 365


class AttributionRules(models.Model):
    """How a site wants payments to be credited to its visits. A site without a row has the defaults."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="+")
    window_days = models.PositiveSmallIntegerField(
        default=WINDOW.days,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW)],
        help_text="How many days older than the checkout the page view may be.",
    )
    credits_renewals = models.BooleanField(
        default=True, help_text="Whether a subscription's renewals count for the visit that began it."
    )

    def __str__(self) -> str:
        return f"{self.site}: {self.window_days} days"

    @property
    def window(self) -> dt.timedelta:
        return dt.timedelta(days=self.window_days)

    @classmethod
    def of(cls, site: Site) -> Self:
        return cls.objects.filter(site=site).first() or cls(site=site)
