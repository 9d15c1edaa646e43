"""What is left of sites that were deleted: Stripe accounts that no site uses any more, and decisions that credit them.

Both go some thousand rows at a time, each time in a transaction of its own, and the next run goes on where one ended.
"""

import datetime as dt
import math
import time

from django.db import models, transaction

from revenue.attribution import Reason
from revenue.crediting import CREDITED, SNAPSHOT
from revenue.history import note_change
from revenue.mirror import lock
from revenue.models import Attribution, Connection, FormerDecision, StripeAccount
from revenue.models.decisions import Decision
from revenue.sync import is_running
from sites.deletion import AT_ONCE, by_index, pointing_at
from sites.models import SiteDeletion


def forget(now: dt.datetime, ends_at: float = math.inf) -> int:
    """Delete accounts without a site, and take deleted sites from the decisions about the others.

    Do so until that moment of `time.monotonic`, and give how many rows of accounts were deleted. An account that is
    being read right now is left for later.
    """
    total = 0
    for account in StripeAccount.objects.filter(connections=None):
        if not is_running(account):
            total += _delete(account, ends_at)
    for deletion in SiteDeletion.objects.all():
        for model in (Attribution, FormerDecision):
            while time.monotonic() < ends_at and _discredit(model, deletion, now):
                pass
    return total


def leave_alone(acct_id: str, livemode: bool) -> None:
    """Have an account begin anew whose last site was deleted: what is left of it is about to be deleted, too.

    To be called before the account is connected, in the same transaction.
    """
    # Locked before it is looked whether a site uses it, so that `_delete` sees the connection that is made now.
    found = StripeAccount.objects.select_for_update().filter(acct_id=acct_id, livemode=livemode).first()
    if found and not found.connections.exists():
        StripeAccount.objects.filter(pk=found.pk).update(acct_id=f"deleted {found.pk}")


def _delete(account: StripeAccount, ends_at: float) -> int:
    total = 0
    for field in pointing_at(StripeAccount):
        while field.model is not Connection and time.monotonic() < ends_at:
            deleted = _delete_some(account, field.model)
            total += deleted
            if deleted < AT_ONCE:
                break
    if time.monotonic() < ends_at:
        with transaction.atomic():
            if _is_unused(account):
                rows = StripeAccount.objects.filter(pk=account.pk)
                rows._raw_delete(rows.db)
    return total


@transaction.atomic
def _delete_some(account: StripeAccount, model: type[models.Model]) -> int:
    """Delete AT_ONCE rows of the account, if there are as many and no site uses it; give how many."""
    if not _is_unused(account):
        return 0
    by_index()
    rows = model._base_manager.filter(account=account)
    some = list(rows.values_list("pk", flat=True)[:AT_ONCE])
    # Django says None of what it need not ask.
    return rows.filter(pk__among=some)._raw_delete(rows.db) or 0


def _is_unused(account: StripeAccount) -> bool:
    """Tell whether no site uses the account, and keep it so until the transaction ends."""
    locked = StripeAccount.objects.select_for_update().filter(pk=account.pk).first()
    return locked is not None and not locked.connections.exists()


@transaction.atomic
def _discredit(model: type[Decision], deletion: SiteDeletion, now: dt.datetime) -> int:
    """Credit some payments to nobody that were credited to the deleted site; give how many.

    They are so from the beginning: when that was decided, and what had been decided before, would tell of the site.
    """
    rows = model._base_manager.filter(site=deletion.pk)
    account = StripeAccount.objects.filter(pk__in=rows.values("account")[:1]).first()
    if account is None:
        return 0
    lock(account)
    by_index()
    of_account = model._base_manager.filter(account=account)
    some = list(of_account.filter(site=deletion.pk).values_list("pk", flat=True)[:AT_ONCE])
    nothing = Attribution()
    blank = {name: getattr(nothing, name) for name in (*CREDITED, *SNAPSHOT)}
    changed = of_account.filter(pk__among=some).update(reason=Reason.DELETED_SITE, **blank)
    note_change(account, now)
    return changed
