"""Share links: how one is made, and how its password is guarded. What one opens is in `access`."""

import datetime as dt

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db.models import F, Q
from django.urls import reverse

from sites.models import ShareLink, Site

GUESSES_A_MINUTE = 5
MINUTE = dt.timedelta(minutes=1)


class TooManyGuessesError(Exception):
    """The link's password was tried too often in the last minute, by whomever."""


def share(site: Site, name: str, password: str, split_test_id: int | None = None) -> ShareLink:
    """Make a link that shows the site's dashboard, or the results of that split test alone.

    `password` is empty for none.
    """
    hashed = make_password(password) if password else ""
    return ShareLink.objects.create(site=site, name=name, password=hashed, split_test_id=split_test_id)


def address_of(link: ShareLink) -> str:
    return f"{settings.BASE_URL}{reverse('sites:open-share', args=[link.token])}"


def subject_of(link: ShareLink) -> str:
    """Give what the audit log calls the link."""
    return f"{link.name}: results of split test {link.split_test_id}" if link.split_test_id else link.name


def link_of(token: str) -> ShareLink | None:
    return ShareLink.objects.select_related("site").filter(token=token).first()


def is_right(link: ShareLink, password: str, now: dt.datetime) -> bool:
    """Tell whether the password is the link's. Raise TooManyGuessesError, without looking at it, if too many were not.

    A try is counted before it is looked at, so that no number of them at once gets past the limit.
    """
    if not _may_guess(link, now):
        raise TooManyGuessesError
    if not check_password(password, link.password):
        return False
    ShareLink.objects.filter(pk=link.pk, guesses__gt=0).update(guesses=F("guesses") - 1)
    return True


def _may_guess(link: ShareLink, now: dt.datetime) -> bool:
    rows = ShareLink.objects.filter(pk=link.pk)
    is_new_minute = rows.filter(Q(guessed_at=None) | Q(guessed_at__lte=now - MINUTE)).update(guesses=1, guessed_at=now)
    return bool(is_new_minute or rows.filter(guesses__lt=GUESSES_A_MINUTE).update(guesses=F("guesses") + 1))
