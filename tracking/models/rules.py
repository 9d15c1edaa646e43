"""What a site's owners have said about their site: what is counted, what sources are called, what is a goal."""

import ipaddress

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from sites.models import Site
from tracking.sources import Channel


def is_network(value: str) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValidationError(f"“{value}” is no IP address and no network such as 203.0.113.0/24.") from error


class Intake(models.Model):
    """Which hits a site takes. A site without a row takes all from its domain and the subdomains."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="+")
    hostnames = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Only these hosts: www.example.com, or *.example.com for all below it. Empty: the domain and all "
        "below it.",
    )
    respects_gpc = models.BooleanField("respect Global Privacy Control", default=False)
    respects_dnt = models.BooleanField("respect Do Not Track", default=False)
    excluded_networks = ArrayField(
        models.CharField(max_length=49, validators=[is_network]),
        default=list,
        blank=True,
        help_text="Visits from these addresses are not counted: 203.0.113.7, or 203.0.113.0/24.",
    )
    takes_null_origin = models.BooleanField(
        "count pages in a sandbox",
        default=False,
        help_text="Browsers do not tell where such pages are from (“Origin: null”), so everybody’s would count.",
    )
    has_hash_routes = models.BooleanField(
        "count #/addresses as pages",
        default=False,
        help_text="For apps whose pages differ only behind the #, such as /app#/orders.",
    )

    def __str__(self) -> str:
        return f"Intake of {self.site}"


class SourceRule(models.Model):
    """A site's own word on what a source is called and which channel it is; it goes before the built-in list."""

    class Looks(models.TextChoices):
        REFERRER = "referrer", "Referring host"
        UTM_SOURCE = "utm_source", "utm_source"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    looks_at = models.TextField(choices=Looks.choices, default=Looks.REFERRER)
    pattern = models.CharField(
        max_length=253, help_text="A host, which stands for those below it too, or a utm_source. Case does not matter."
    )
    source = models.CharField("call it", max_length=100)
    channel = models.TextField(
        choices=[(channel.value, channel.value) for channel in Channel],
        blank=True,
        help_text="Empty: as the built-in rules say.",
    )

    class Meta:
        ordering = ("pattern",)
        constraints = [models.UniqueConstraint(fields=["site", "looks_at", "pattern"], name="one_rule_per_pattern")]

    def __str__(self) -> str:
        return f"{self.pattern} → {self.source}"


class Goal(models.Model):
    """What a site hopes its visitors do: see a page, or cause an event."""

    class Kind(models.TextChoices):
        PAGE = "page", "A page is seen"
        EVENT = "event", "An event happens"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    kind = models.TextField(choices=Kind.choices, default=Kind.PAGE)
    pattern = models.CharField(
        "page or event",
        max_length=500,
        help_text="A path such as /thank-you, with * for anything: /orders/*/done. Or an event's exact name.",
    )

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="one_goal_per_name")]

    def __str__(self) -> str:
        return self.name


class EmailReport(models.Model):
    """Somebody who is sent a site's figures by e-mail."""

    class Every(models.TextChoices):
        WEEK = "week", "Every week, on Monday"
        MONTH = "month", "Every month, on the first"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    email = models.EmailField("e-mail address")
    every = models.TextField(choices=Every.choices, default=Every.WEEK)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_through_on = models.DateField(null=True, editable=False, help_text="Last day of the last report sent.")

    class Meta:
        ordering = ("email", "every")
        constraints = [models.UniqueConstraint(fields=["site", "email", "every"], name="one_report_per_address")]

    def __str__(self) -> str:
        return f"{self.email} every {self.every}"
