import datetime as dt
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import ExpressionWrapper, F, Q

from revenue import encryption
from revenue.secrecy import Secret
from sites.models import Site

# The accounts whose money counts for a site: with a live one connected, money of Stripe's test mode never does.
COUNTED_ACCOUNTS = """
    SELECT account_id FROM (
        SELECT connection.account_id, account.livemode, bool_or(account.livemode) OVER () AS is_any_live
        FROM revenue_connection connection
        JOIN revenue_stripeaccount account ON account.id = connection.account_id
        WHERE connection.site_id = %(site)s
    ) connected WHERE livemode = is_any_live
"""
# The same as the end of a condition. An array is looked up once, and the database need not guess how many rows of a
# ledger a join with the accounts would leave.
IS_COUNTED = f"= ANY (ARRAY({COUNTED_ACCOUNTS}))"


class StripeAccount(models.Model):
    """One mode of one Stripe account: test money and live money never meet in a row."""

    acct_id = models.CharField("account", max_length=64)
    livemode = models.BooleanField("live")
    country = models.CharField(max_length=2, blank=True)
    default_currency = models.CharField(max_length=3, blank=True)
    opened_at = models.DateTimeField(null=True, help_text="When Stripe opened the account.")
    due_at = models.DateTimeField(null=True, help_text="When it is to be read next; empty means at once.")
    balance = models.JSONField(null=True, help_text="What it held when that was last read, in minor units.")
    balance_at = models.DateTimeField(null=True, help_text="When its balance was last read, by Stripe's clock.")
    edition = models.BigIntegerField(default=0, help_text="How often its ledger or a decision about it has changed.")
    kept_since_at = models.DateTimeField(null=True, help_text="From when on it is kept what its ledger said before.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["acct_id", "livemode"], name="one_row_per_account_and_mode")]

    def __str__(self) -> str:
        return f"{self.acct_id} ({self.mode})"

    @property
    def mode(self) -> str:
        return "live" if self.livemode else "test"


class Status(models.TextChoices):
    CONNECTED = "connected", "Connected"
    KEY_REFUSED = "auth_failed", "Stripe refuses the key"
    KEY_UNREADABLE = "key_unreadable", "The stored key cannot be decrypted"
    UNREACHABLE = "degraded", "Stripe could not be read"
    THROTTLED = "throttled", "Stripe asks to wait"
    RATIONED = "rationed", "Waiting for more reads"
    ACCOUNT_CHANGED = "account_changed", "The key opens another account"
    DISCONNECTED = "disconnected", "Disconnected"


class Connections(models.QuerySet["Connection"]):
    def for_site(self, site: Site) -> Self:
        return self.filter(site=site).select_related("account")

    def due(self, now: dt.datetime) -> Self:
        """One connection for each account that is to be read.

        Among them what was last tried when it was later than now: a clock that was set back puts nothing off.
        """
        is_due = Q(account__due_at=None) | Q(account__due_at__lte=now) | Q(tried_at__gt=now)
        return self.filter(is_due).for_accounts()

    def for_accounts(self) -> Self:
        """One connection for each account that can be read: of several, one whose key was not refused last."""
        is_refused = ExpressionWrapper(Q(status__in=[Status.KEY_REFUSED, Status.KEY_UNREADABLE]), models.BooleanField())
        return (
            self.exclude(sealed_key="")
            .order_by("account", is_refused, F("tried_at").asc(nulls_first=True))
            .distinct("account")
        )


class Connection(models.Model):
    """A site's use of a Stripe account, with the key that reads it."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="stripe_connections")
    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="connections")
    sealed_key = models.TextField(editable=False)
    key_hint = models.CharField(max_length=32, help_text="Kind and last four characters of the key.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.CONNECTED)
    problem = models.CharField(max_length=300, blank=True, help_text="Why the last sync did not finish.")
    connected_at = models.DateTimeField()
    synced_at = models.DateTimeField(null=True, help_text="When a sync last finished.")
    tried_at = models.DateTimeField(null=True, help_text="When a sync last began.")
    probed_at = models.DateTimeField(null=True, help_text="When it was last looked what the key may read.")
    lacking = ArrayField(
        models.CharField(max_length=64), default=list, help_text="What the key may not read, as Stripe’s form calls it."
    )

    objects: ClassVar[Connections] = Connections.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "account"], name="one_connection_per_site_and_account")]

    def __str__(self) -> str:
        return f"{self.site} ← {self.account}"

    @property
    def _context(self) -> str:
        return f"revenue.Connection.sealed_key|site {self.site_id}|account {self.account_id}"

    def seal_key(self, key: Secret) -> None:
        """Keep `key`, encrypted for this site and account."""
        self.sealed_key = encryption.seal(key, self._context)
        self.key_hint = f"{key.reveal().rsplit('_', 1)[0]}_…{key.reveal()[-4:]}"

    @property
    def can_write(self) -> bool:
        """Whether the key certainly can; what a restricted key may write, Stripe tells nobody who only reads."""
        return self.key_hint.startswith("sk_")

    def open_key(self) -> Secret:
        """Give the key. Raise encryption.UnreadableError."""
        return encryption.unseal(self.sealed_key, self._context)


class ReadCount(models.Model):
    """How many times an account was asked on a day (UTC), the tries that failed included."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="+", db_index=False)
    read_on = models.DateField()
    reads = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "read_on"], name="one_count_per_account_and_day")]

    def __str__(self) -> str:
        return f"{self.account} {self.read_on}"


class Stream(models.Model):
    """How far one of an account's lists has been read."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="streams")
    name = models.CharField(max_length=32)
    covered_to = models.DateTimeField(
        null=True, help_text="Every object created before this moment was seen, by Stripe's clock."
    )
    drained_at = models.DateTimeField(null=True, help_text="When the list was last read to its end, by our clock.")
    swept_at = models.DateTimeField(null=True, help_text="When its last 35 days were last read again.")
    swept_deeply_at = models.DateTimeField(null=True, help_text="When its last half year was last read again.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="one_stream_per_account_and_name")]

    def __str__(self) -> str:
        return f"{self.account} {self.name}"


class Slice(models.Model):
    """A span of a list's history that is still to be read, from `until_at` back to `since_at`; read, it is deleted."""

    account = models.ForeignKey(StripeAccount, on_delete=models.CASCADE, related_name="slices")
    name = models.CharField("stream", max_length=32)
    since_at = models.DateTimeField(null=True, help_text="Empty: from the account's first day.")
    until_at = models.DateTimeField(help_text="What was created at this moment or later is read already.")
    is_known = models.BooleanField(help_text="Whether its objects were read before: what is new in it was missed.")

    def __str__(self) -> str:
        return f"{self.account} {self.name} before {self.until_at}"
