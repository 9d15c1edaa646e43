"""A site that is deleted is gone at once for everybody, and soon after so is every row of it, and no other."""

import datetime as dt
import itertools
import json
import smtplib
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from revenue import forgetting
from revenue import tasks as revenue_tasks
from revenue.models import Attribution, Connection, FormerDecision, StripeAccount
from sites import deletion, tasks
from sites.audit import COMMAND_LINE
from sites.deletion import SETTLED, delete_by_owner, erase, pointing_at, remove
from sites.members import NotYoursError
from sites.models import ApiToken, AuditEntry, Membership, Role, Site, SiteDeletion, User
from sites.sharing import share
from sites.tokens import issue
from splittests.models import SplitTest, Variant
from tests.factories import MembershipFactory, SiteFactory, collect, send_hit
from tracking.models import View

pytestmark = pytest.mark.django_db
Row = dict[str, Any]
PAGE = "/shop.example/settings/delete/"
LATER = SETTLED + dt.timedelta(seconds=1)


def tied_to(model: type[models.Model]) -> set[type[models.Model]]:
    """All models whose rows belong to one of the model's, by whatever way, but for the log, which outlives it."""
    found: set[type[models.Model]] = set()
    for field in pointing_at(model):
        if field.model not in (AuditEntry, *found):
            found |= {field.model, *tied_to(field.model)} if field.model is not model else {model}
    return found


OF_SITE, OF_ACCOUNT = tied_to(Site), tied_to(StripeAccount)
ALL = [Site, StripeAccount, *sorted(OF_SITE | OF_ACCOUNT, key=lambda model: model._meta.label)]


def value(field: "models.Field[Any, Any]") -> object:
    """Something that the field takes, not the same twice where that matters."""
    if field.choices and not isinstance(field, models.BooleanField):
        return field.choices[0][0]
    made: dict[type[models.Field[Any, Any]], Callable[[], object]] = {
        models.UUIDField: uuid.uuid4,
        models.DateTimeField: timezone.now,
        models.DateField: lambda: timezone.now().date(),
        models.DurationField: dt.timedelta,
        models.BooleanField: lambda: False,
        models.IntegerField: lambda: 1,
        models.JSONField: dict,
        models.BinaryField: lambda: b"x",
        models.CharField: lambda: uuid.uuid4().hex[: field.max_length],
        models.TextField: lambda: uuid.uuid4().hex,
    }
    for kind, make in made.items():
        if isinstance(field, kind):
            return make()
    return []


def put(model: type[models.Model], links: dict[type[models.Model], models.Model]) -> models.Model:
    """Store a row with something in each field that must have something, led where `links` say."""
    given: Row = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey):
            if field.related_model in links and field.related_model is not model:
                given[field.name] = links[field.related_model]
        elif not (
            field.has_default() or field.null or isinstance(field, models.AutoField | models.CompositePrimaryKey)
        ):
            given[field.name] = value(field)
    row = model(**given)
    # As it stands, whatever the model has to say about a test that has been started.
    models.Model.save_base(row, raw=True, force_insert=True)
    return row


def fill(site: Site, user: User, *accounts: StripeAccount) -> None:
    """Give the site, and each account, a row in every table; the site three in those that may be large."""
    links: dict[type[models.Model], models.Model] = {Site: site, User: user, StripeAccount: accounts[0]}
    links[SplitTest] = put(SplitTest, links)
    links[Variant] = put(Variant, links)
    own = {field.model for field in pointing_at(Site) if not field.db_constraint and field.model is not AuditEntry}
    for model in OF_SITE - {SplitTest, Variant, Connection, Membership}:
        for _ in range(3 if model in own else 1):
            put(model, links)
    for account in accounts:
        Connection.objects.create(site=site, account=account, sealed_key="x", connected_at=timezone.now())
        for model in OF_ACCOUNT - {Connection, Attribution, FormerDecision}:
            put(model, {StripeAccount: account})


def rows() -> dict[str, list[Row]]:
    return {model._meta.label: sorted(model._base_manager.values(), key=str) for model in ALL}


@pytest.fixture
def other(stranger: User) -> Site:
    return stranger.memberships.get().site


@pytest.fixture
def theirs(other: Site, stranger: User) -> dict[str, list[Row]]:
    """The rows of another site, which has something in every table."""
    fill(other, stranger, StripeAccount.objects.create(acct_id="acct_other", livemode=True))
    found = rows()
    assert [name for name, there in found.items() if not there] == []
    return found


def forget(at: dt.datetime) -> None:
    """Do what the worker does each minute."""
    for each in SiteDeletion.objects.all():
        erase(each, at)
    forgetting.forget(at)


def test_a_batch_is_found_without_a_look_at_the_site_s_other_rows(site: Site) -> None:
    send_hit(site)
    begun = remove(site, COMMAND_LINE, timezone.now())
    with CaptureQueriesContext(connection) as asked:
        erase(begun, timezone.now())
    (statement,) = [each["sql"] for each in asked if each["sql"].startswith('DELETE FROM "tracking_view"')]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        assert "Tid Scan" in str(cursor.fetchall())


class Killed(BaseException):
    """In the place of a signal: nothing catches it, and the database forgets the transaction."""


@contextmanager
def killed_before(statement: int) -> Iterator[None]:
    """Let the code within die before the statement of that number."""
    count = 0

    def execute(run: Callable[..., Any], sql: str, *args: Any) -> Any:
        nonlocal count
        # In a test it stands for the commit, and what is not committed is gone with the process.
        count += not sql.startswith("RELEASE")
        if count == statement:
            raise Killed
        return run(sql, *args)

    with connection.execute_wrapper(execute):
        yield


def test_no_table_has_a_row_of_the_site_afterwards_and_no_other_row_has_changed(
    theirs: dict[str, list[Row]], owner: User, site: Site
) -> None:
    accounts = [StripeAccount.objects.create(acct_id="acct_1", livemode=livemode) for livemode in (True, False)]
    fill(site, owner, *accounts)
    assert [name for name, there in rows().items() if len(there) <= len(theirs[name])] == []
    now = timezone.now()
    remove(site, owner, now)
    # At once goes all that a constraint of the database ties to the site.
    tied = [field for field in pointing_at(Site) if field.db_constraint]
    assert [field for field in tied if field.model._base_manager.filter(**{field.name: site.pk}).exists()] == []
    forget(now)
    assert rows() == theirs
    # A server that knows the site by heart may still write for it.
    put(View, {Site: site})
    forget(now + LATER)
    assert rows() == theirs
    assert not SiteDeletion.objects.exists()


def test_killed_before_any_statement_it_goes_on_where_it_was(
    theirs: dict[str, list[Row]], owner: User, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (deletion, forgetting):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    fill(site, owner, StripeAccount.objects.create(acct_id="acct_1", livemode=True))
    now, deaths, before = timezone.now(), 0, rows()
    for fatal in itertools.count(1, 3):
        with suppress(Killed), killed_before(fatal):
            remove(site, owner, now)
            break
        deaths += 1
        assert rows() == before
        assert not SiteDeletion.objects.exists()
    assert deaths > 3
    for fatal in itertools.count(1, 17):
        with suppress(Killed), killed_before(fatal):
            forget(now + LATER)
            break
        deaths += 1
    assert deaths > 10
    assert rows() == theirs
    assert not SiteDeletion.objects.exists()
    assert AuditEntry.objects.filter(action="site_deleted").count() == 1


def unknown(client: Client, key: str, token: str, link: str) -> list[object]:
    """What everybody is told who has the site's key, a token of it, or a share link."""
    said = {"site": key, "view": str(uuid.uuid4()), "url": "https://shop.example/"}
    answers = [
        client.get(f"/js/{key}.js"),
        client.get("/api/v1/sites/shop.example/figures", headers={"Authorization": f"Bearer {token}"}),
        client.get(reverse("sites:open-share", args=[link])),
    ]
    return [*((each.status_code, each.content) for each in answers), collect(json.dumps(said).encode())]


def test_it_is_gone_at_once_for_everybody_and_the_log_says_who_did_it(
    owner_client: Client, client: Client, admin_client: Client, site: Site
) -> None:
    send_hit(site)
    token, link = issue(site, "Sheet", ApiToken.Scope.TRAFFIC), share(site, "Board", "").token
    client.get(reverse("sites:open-share", args=[link]))
    assert client.get("/shop.example/").status_code == 200
    assert [answer[0] for answer in unknown(client, site.key, token, link)] == [200, 200, 302, 202]

    assert "That is not shop.example." in owner_client.post(PAGE, {"domain": "shop.exampl"}).content.decode()
    assert Site.objects.exists()
    response = owner_client.post(PAGE, {"domain": " Shop.example"}, follow=True)

    assert "shop.example is deleted." in response.content.decode()
    assert 'href="/shop.example/"' not in response.content.decode()
    assert owner_client.get("/shop.example/").status_code == 404
    assert client.get("/shop.example/").headers["Location"] == "/login/?next=/shop.example/"
    assert unknown(client, site.key, token, link) == unknown(Client(), "nobodyskey23", "hl_nobody", "nobodys-link")
    entry = AuditEntry.objects.get(action="site_deleted")
    assert (entry.actor, entry.domain, entry.site_id) == ("owner@example.com", "shop.example", site.pk)
    for page in ("auditentry_changelist", "sitedeletion_changelist"):
        assert "shop.example" in admin_client.get(reverse(f"admin:sites_{page}")).content.decode()
    # The site that it names is no more.
    assert admin_client.get(reverse("admin:sites_auditentry_change", args=[entry.pk])).status_code == 200


def test_the_same_domain_may_be_added_again_while_the_deletion_is_under_way(owner_client: Client, site: Site) -> None:
    send_hit(site)
    owner_client.post(PAGE, {"domain": site.domain})
    owner_client.post("/sites/new/", {"domain": site.domain, "timezone": "UTC"})
    again = Site.objects.get()
    assert again.key != site.key
    view = send_hit(again)
    assert "1" in owner_client.get("/shop.example/live/").content.decode()
    SiteDeletion.objects.update(removed_at=timezone.now() - LATER)
    for task in (tasks.erase_deleted, revenue_tasks.forget_deleted):
        assert task.name in {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
        task()
    assert [row.id for row in View.objects.all()] == [view]
    assert not SiteDeletion.objects.exists()
    assert [entry.action for entry in AuditEntry.objects.filter(site=again)] == ["site_added"]


def test_who_is_no_owner_any_more_deletes_nothing(site: Site) -> None:
    admin = MembershipFactory(site=site, role=Role.ADMIN).user
    with pytest.raises(NotYoursError):
        delete_by_owner(site, admin, timezone.now())
    assert Site.objects.filter(pk=site.pk).exists()


@pytest.fixture
def members(site: Site, settings: Any) -> list[str]:
    """Others than the owner, where there is a mail server: two of this site, one of another, one who left for good."""
    settings.HAS_MAIL_SERVER = True
    MembershipFactory(site=SiteFactory(domain="blog.example"))
    MembershipFactory(site=site, user__is_active=False)
    return sorted(MembershipFactory(site=site, role=role).user.email for role in (Role.ADMIN, Role.VIEWER))


def test_the_other_members_are_told(
    owner_client: Client,
    owner: User,
    members: list[str],
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        owner_client.post(PAGE, {"domain": "shop.example"})
    assert sorted(sent.to for sent in mail.outbox) == [[member] for member in members]
    assert mail.outbox[0].subject == "shop.example was deleted"
    assert f"{owner} has deleted it" in mail.outbox[0].body


def test_that_the_command_has_deleted_a_site_is_told_to_all(
    site: Site,
    owner: User,
    members: list[str],
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        call_command("delete_site", "shop.example", "--yes")
    assert sorted(sent.to for sent in mail.outbox) == sorted([[owner.email], *([member] for member in members)])
    assert "whoever runs the server has deleted it" in mail.outbox[0].body


def test_without_a_mail_server_nobody_is_told(
    site: Site,
    owner: User,
    members: list[str],
    settings: Any,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    settings.HAS_MAIL_SERVER = False
    with django_capture_on_commit_callbacks(execute=True):
        delete_by_owner(site, owner, timezone.now())
    assert mail.outbox == []


class Refusing(EmailBackend):
    """A mail server that knows one of the recipients only, or hangs up on all."""

    known: str | None = None

    def open(self) -> bool:
        if self.known is None:
            raise TimeoutError
        self.connection = Mock()
        self.connection.sendmail = self.refuse
        return True

    def refuse(self, sender: str, recipients: list[str], *args: object) -> None:
        if recipients != [self.known]:
            raise smtplib.SMTPRecipientsRefused({recipients[0]: (550, b"nobody here")})
        told.append(self.known)


told: list[str] = []


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_mail_that_is_refused_keeps_neither_the_deletion_nor_the_others(
    site: Site,
    owner: User,
    members: list[str],
    settings: Any,
    is_reached: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    monkeypatch.setattr(Refusing, "known", members[-1] if is_reached else None)
    told.clear()
    with django_capture_on_commit_callbacks(execute=True):
        delete_by_owner(site, owner, timezone.now())
    assert not Site.objects.filter(pk=site.pk).exists()
    assert told == (members[-1:] if is_reached else [])
    assert caplog.messages == ["Not all who had access to shop.example could be told that it was deleted."]


@pytest.mark.parametrize("typed", ["", "shop.exampl"])
def test_the_command_asks_for_the_domain(site: Site, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("builtins.input", lambda: typed)
    with pytest.raises(CommandError, match="nothing was deleted") as raised:
        call_command("delete_site", "shop.example")
    assert raised.value.returncode == 1
    assert Site.objects.exists()
    with pytest.raises(CommandError, match=r"There is no site shop\.exampl\.$") as raised:
        call_command("delete_site", "shop.exampl")
    assert raised.value.returncode == 2


def test_the_command_deletes_and_goes_on_with_what_was_begun(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    send_hit(site)
    call_command("delete_site", "shop.example", "--yes", "--json")
    assert json.loads(capsys.readouterr().out) == {"site": "shop.example", "rows": 3}
    assert AuditEntry.objects.get(action="site_deleted").actor == COMMAND_LINE
    put(View, {Site: site})
    call_command("delete_site", "shop.example")
    assert "with 1 rows" in capsys.readouterr().out
    assert not View.objects.exists()
