"""Deleting a site: nothing finds it from one moment to the next, and its rows go soon after.

In one transaction go the site itself and what a foreign key constraint ties to it: what opens it, and what was set for
it. That is little, and without it no page, token, link, hit, mail or sync finds the site. What may be millions of rows
has no such constraint. It goes some thousand rows at a time, each time in a transaction of its own, so that nobody
waits for it and a kill at any moment is made good by the next run.
"""

import datetime as dt
import logging
import math
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import connection, models, transaction
from django.template.loader import render_to_string

from sites import audit
from sites.audit import Action
from sites.members import NotYoursError, locked_role
from sites.models import Role, Site, SiteDeletion, User

log = logging.getLogger(__name__)

AT_ONCE = 5_000
# So long after the site is gone somebody may still write for it who knows it by heart: a server that takes hits, or a
# task that was at work.
SETTLED = dt.timedelta(minutes=10)


def pointing_at(model: type[models.Model]) -> "list[models.ForeignKey[Any, Any]]":
    """Give the foreign keys of all models that lead to this one."""
    relations = model._meta.get_fields(include_hidden=True)
    return [each.field for each in relations if isinstance(each, models.ManyToOneRel)]


def _is_tied(field: "models.ForeignKey[Any, Any]") -> bool:
    """Tell whether the database itself sees to it that there is what the key leads to."""
    # The stubs do not know it.
    return bool(field.db_constraint)  # type: ignore[attr-defined]


@transaction.atomic
def delete_by_owner(site: Site, owner: User, now: dt.datetime) -> None:
    """Raise NotYoursError or Http404 if the user is not its owner any more."""
    if locked_role(site, owner) < Role.OWNER:
        raise NotYoursError
    remove(site, owner, now)


@transaction.atomic
def remove(site: Site, actor: User | str, now: dt.datetime) -> SiteDeletion:
    """Let nothing find the site any more; what is left of it is for `erase`. `actor` is as `audit.note` has it."""
    # Against everybody who is about to add something to it.
    rows = Site.objects.filter(pk=Site.objects.select_for_update().get(pk=site.pk).pk)
    audit.note(actor, Action.SITE_DELETED, site)
    others = User.objects.filter(memberships__site=site, is_active=True)
    if isinstance(actor, User):
        others = others.exclude(pk=actor.pk)
    members = list(others.values_list("email", flat=True))
    # Whatever becomes of the mails, the site is gone.
    transaction.on_commit(partial(_tell, site.domain, actor, members), robust=True)
    deletion = SiteDeletion.objects.create(site_id=site.pk, domain=site.domain, removed_at=now)
    _delete_tied(rows)
    return deletion


def _tell(domain: str, actor: User | str, members: Iterable[str]) -> None:
    """Mail to those who had access to the site that it is no more."""
    if not settings.HAS_MAIL_SERVER:
        return
    by = actor if isinstance(actor, User) else "whoever runs the server"
    text = render_to_string("sites/deletion_mail.txt", {"domain": domain, "by": by, "server": settings.BASE_URL})
    mails = [EmailMessage(f"{domain} was deleted", text, to=[member]) for member in members]
    try:
        # By one connection. Who does not take it keeps it from nobody else.
        sent = get_connection(fail_silently=True).send_messages(mails) or 0
    except OSError:
        sent = 0
    if sent < len(mails):
        log.warning("Not all who had access to %s could be told that it was deleted.", domain)


def erase(deletion: SiteDeletion, now: dt.datetime, ends_at: float = math.inf) -> int:
    """Delete what is left of the site, until that moment of `time.monotonic`; give how many rows that were.

    The deletion is over, and its own row gone, when nothing is left at a time at which nobody can add to it.
    """
    total = 0
    for field in _large():
        while time.monotonic() < ends_at:
            deleted = _erase_some(deletion, field)
            total += deleted
            if deleted < AT_ONCE:
                break
    # Those of other apps, too, which see to them themselves.
    if now - deletion.removed_at >= SETTLED and not any(_has_rows(field, deletion.pk) for field in _left()):
        deletion.delete()
    return total


def by_index() -> None:
    """Let the transaction find rows by an index.

    A search from the beginning of a table would pass all that has been deleted there before, each time anew.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")


def _left() -> "list[models.ForeignKey[Any, Any]]":
    """The keys by which rows lead to a site when it is gone; those of the audit log do for ever."""
    fields = [field for field in pointing_at(Site) if not _is_tied(field)]
    return [field for field in fields if field.remote_field.on_delete is not models.DO_NOTHING]


def _large() -> "list[models.ForeignKey[Any, Any]]":
    return [field for field in _left() if field.remote_field.on_delete is models.CASCADE]


def _delete_tied(rows: models.QuerySet[Any]) -> None:
    """Delete rows, and before them what constraints tie to them, without a look at any of them."""
    for field in pointing_at(rows.model):
        if _is_tied(field) and field.model is not rows.model:
            _delete_tied(field.model._base_manager.filter(**{f"{field.name}__in": rows}))
    rows._raw_delete(rows.db)


@transaction.atomic
def _erase_some(deletion: SiteDeletion, field: "models.ForeignKey[Any, Any]") -> int:
    """Delete AT_ONCE rows of the site, if there are as many; give how many."""
    # Two workers take turns.
    SiteDeletion.objects.select_for_update().filter(pk=deletion.pk).first()
    table, column = (connection.ops.quote_name(name) for name in (field.model._meta.db_table, field.column))
    by_index()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ctid::text FROM {table} WHERE {column} = %s LIMIT %s", [deletion.pk, AT_ONCE])
        places = [place for (place,) in cursor.fetchall()]
        # A database that believes the site to have few rows would look through all of them for these.
        cursor.execute("SET LOCAL enable_indexscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"DELETE FROM {table} WHERE {column} = %s AND ctid = ANY (%s::tid[])", [deletion.pk, places])
        return int(cursor.rowcount)


def _has_rows(field: "models.ForeignKey[Any, Any]", number: int) -> bool:
    return field.model._base_manager.filter(**{field.name: number}).exists()
