from django.db import models
from django.db.models import Q

from sites.models import Site


class IncidentKind(models.TextChoices):
    STOPPED = "stopped", "Stripe is not read any more"
    COVERAGE = "coverage", "Fewer payments are credited to a visit"
    HEALED = "healed", "Something had been missed, and was put right"
    UNSETTLED = "unsettled", "The books do not add up"


class Incident(models.Model):
    """Something that went wrong on a site: told once by e-mail, and over when it is in order again."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=IncidentKind.choices)
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "kind"], condition=Q(ended_at=None), name="one_open_incident_per_site_and_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.get_kind_display()}"
