import functools
import secrets
import zoneinfo
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

KEY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_site_key() -> str:
    """Give a public key of 12 letters and digits: 60 random bits, none of them a time."""
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(12))


@functools.cache
def time_zones() -> tuple[str, ...]:
    """The names of time zones, those of the system's own settings left out: no database knows them."""
    return tuple(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))


def is_time_zone(value: str) -> None:
    if value not in time_zones():
        raise ValidationError(f"“{value}” is not a time zone. Use a name such as Europe/Berlin.")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email=(email or "").lower())


class User(AbstractUser):
    """Somebody who logs in, by e-mail address."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()


class SiteQuerySet(models.QuerySet["Site"]):
    def for_user(self, user: User) -> Self:
        """The sites that `user` is a member of, by domain."""
        return self.filter(memberships__user=user).order_by("domain")


class Site(models.Model):
    """A web site whose visits are counted."""

    domain = models.CharField(
        max_length=253,
        unique=True,
        validators=[
            RegexValidator(
                r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
                "Enter a domain such as example.com: no https://, no path, no port.",
            )
        ],
        help_text="Page views count on this host, on www. before it, and on its subdomains.",
    )
    key = models.CharField(max_length=12, unique=True, default=new_site_key, editable=False)
    timezone = models.CharField("time zone", max_length=64, default="UTC", validators=[is_time_zone])
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Site"]] = SiteQuerySet.as_manager()

    class Meta:
        ordering = ("domain",)

    def __str__(self) -> str:
        return self.domain

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


class SiteDeletion(models.Model):
    """That a site is gone whose rows are not all gone yet; `deletion` writes it, and deletes it when they are."""

    # A number, not a foreign key: there is no such site any more.
    site_id = models.BigIntegerField("site", primary_key=True)
    domain = models.CharField(max_length=253)
    removed_at = models.DateTimeField()

    class Meta:
        ordering = ("removed_at",)

    def __str__(self) -> str:
        return self.domain


class Role(models.IntegerChoices):
    """What a member may do; a higher role may do all that a lower one may."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3
    OWNER = 4


def new_nonce() -> str:
    return secrets.token_hex(16)


class Membership(models.Model):
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user"], name="one_membership_per_site_and_user")]

    def __str__(self) -> str:
        return f"{self.user} on {self.site}"


class Invitation(models.Model):
    """That somebody may become a member of a site who has the link that was sent to them; gone once they have."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address")
    role = models.PositiveSmallIntegerField(choices=Role.choices, default=Role.VIEWER)
    invited_by = models.CharField(max_length=254, help_text="An e-mail address.")
    nonce = models.CharField(max_length=32, default=new_nonce, editable=False, help_text="Changes with each link.")
    sent_at = models.DateTimeField(null=True, editable=False, help_text="Empty if no mail could be sent.")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("email",)
        constraints = [models.UniqueConstraint(fields=["site", "email"], name="one_invitation_per_site_and_address")]

    def __str__(self) -> str:
        return f"{self.email} to {self.site}"


class Session(AbstractBaseSession):
    """A browser's session, with whose it is once somebody has logged in; `sessions` writes it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="sessions")
    browser = models.CharField(max_length=60, blank=True)
    system = models.CharField(max_length=60, blank=True)
    begun_at = models.DateTimeField(null=True, help_text="When somebody logged in.")
    seen_at = models.DateTimeField(null=True, help_text="To within a quarter of an hour.")

    def __str__(self) -> str:
        # Not its key, which would let anybody in.
        return f"{self.user or 'nobody'}, {self.browser} on {self.system}"


class Tries(models.Model):
    """How often something was tried by whom or from where; `accounts.limits` writes it. Deleted soon after its end."""

    key = models.BinaryField(primary_key=True, help_text="A keyed hash of what, and who or from where.")
    number = models.IntegerField()
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "tries"

    def __str__(self) -> str:
        return f"{self.number} until {self.ends_at}"


def new_token() -> str:
    """Give 192 random bits for use in an address or a header."""
    return secrets.token_urlsafe(24)


class ShareLink(models.Model):
    """An address that shows a site's dashboard, or one split test's results, to whoever has it; gone when deleted."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="share_links")
    name = models.CharField(max_length=100, help_text="For you, to tell the links apart.")
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    password = models.CharField(max_length=128, blank=True, editable=False, help_text="Hashed; empty for none.")
    # A number, not a foreign key: split tests are of a higher app.
    split_test_id = models.BigIntegerField(
        "split test", null=True, editable=False, help_text="Whose results it shows; empty for the dashboard."
    )
    guesses = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Passwords tried in this minute.")
    guessed_at = models.DateTimeField(null=True, editable=False, help_text="When that minute began.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class ApiToken(models.Model):
    """What a program shows to act for one site. Only its hash is kept."""

    class Scope(models.TextChoices):
        EVENTS = "events", "Report events"
        TRAFFIC = "traffic", "Read traffic"
        REVENUE = "revenue", "Read traffic and revenue"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="Which program has it.")
    scope = models.TextField(choices=Scope.choices, default=Scope.EVENTS)
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, in hexadecimal.")
    hint = models.CharField(max_length=4, editable=False, help_text="Its last four characters.")
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, editable=False, help_text="To within a minute; empty if never.")
    full_at = models.DateTimeField(
        null=True, editable=False, help_text="When as many requests as possible may be sent at once again."
    )

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return f"{self.name} (…{self.hint})"

    def may(self, scope: "ApiToken.Scope") -> bool:
        return scope == self.scope or (scope == self.Scope.TRAFFIC and self.scope == self.Scope.REVENUE)


class AuditEntry(models.Model):
    """Something that was done which others may ask about later. The database refuses to change or delete it."""

    class Action(models.TextChoices):
        SITE_ADDED = "site_added", "Added the site"
        SITE_DELETED = "site_deleted", "Deleted the site"
        KEY_SET = "key_set", "Set a Stripe key"
        KEY_REMOVED = "key_removed", "Destroyed a Stripe key"
        TOKEN_MADE = "token_made", "Made an API token"
        TOKEN_REVOKED = "token_revoked", "Revoked an API token"
        LINK_MADE = "link_made", "Made a share link"
        LINK_REVOKED = "link_revoked", "Revoked a share link"
        EXPORTED = "exported", "Took a file"
        INVITED = "invited", "Invited"
        INVITATION_REVOKED = "uninvited", "Revoked the invitation of"
        JOINED = "joined", "Joined"
        ROLE_CHANGED = "role_changed", "Changed the role of"
        MEMBER_REMOVED = "member_removed", "Removed the member"
        LEFT = "left", "Left"
        LOGGED_IN = "logged_in", "Logged in"
        LOGIN_FAILED = "login_failed", "Failed to log in"
        PASSWORD_CHANGED = "password_changed", "Changed the password"
        EMAIL_CHANGED = "email_changed", "Changed the e-mail address"
        FACTOR_ADDED = "factor_added", "Added a second factor"
        FACTOR_REMOVED = "factor_removed", "Removed a second factor"
        CODES_RENEWED = "codes_renewed", "Made new recovery codes"
        SESSION_ENDED = "session_ended", "Ended sessions"
        ACCOUNT_DELETED = "account_deleted", "Deleted the account"
        ASKED = "asked", "Asked in the admin for a"
        ADDED = "added", "Added in the admin"
        CHANGED = "changed", "Changed in the admin"
        DELETED = "deleted", "Deleted in the admin"
        REFUSED = "refused", "Tried in the admin to change"

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254, help_text="An e-mail address, “command line” or “share link”.")
    action = models.CharField(max_length=20, choices=Action.choices)
    # It outlives its site, and deleting a site must not touch it.
    site = models.ForeignKey(
        Site, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+", db_index=False
    )
    domain = models.CharField(max_length=253, blank=True)
    subject = models.CharField(max_length=300, blank=True, help_text="What it was done to.")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["site", "id"], name="audit_entry_by_site")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.get_action_display()} {self.subject}".strip()
