from typing import Self

from django.db import models

from sites.models import Site


class Method(models.TextChoices):
    """How a checkout passes the view id on. One key reads the payments of both."""

    STRIPE_API = "stripe_api", "Stripe API: my server creates each Checkout Session"
    PAYMENT_LINKS = "payment_links", "Payment Links: my pages link to buy.stripe.com"


class Setup(models.Model):
    """What a site chose on its revenue settings. A site without a row has the defaults."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="+")
    method = models.CharField(max_length=20, choices=Method.choices, default=Method.STRIPE_API)
    sends_alerts = models.BooleanField(
        default=True, help_text="Whether owners and administrators are told by e-mail what goes wrong."
    )

    def __str__(self) -> str:
        return f"{self.site}: {self.method}"

    @classmethod
    def of(cls, site: Site) -> Self:
        return cls.objects.filter(site=site).first() or cls(site=site)
