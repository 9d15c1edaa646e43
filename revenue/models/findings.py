from django.db import models

from revenue.models.accounts import StripeAccount


class FindingKind(models.TextChoices):
    HEALED = "healed", "Stripe had it, and it was missing or outdated here"


class Finding(models.Model):
    """Something about an account's money that was not as it should be: each is worth a look."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="findings", db_index=False)
    kind = models.CharField(max_length=20, choices=FindingKind.choices)
    subject = models.CharField(max_length=300, help_text="The object, line or sum it is about.")
    detail = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "found_at"], name="finding_by_time")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"
