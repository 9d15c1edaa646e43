"""Inviting somebody to a site by e-mail, and joining it by the link that they get.

The link is signed and not kept: it is made again from the invitation's row for as long as that is there. It works
once, for a week, and until the invitation is sent anew or revoked.
"""

import datetime as dt
import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import Http404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from sites import audit
from sites.audit import Action
from sites.members import NotYoursError, all_that, givable, locked_role
from sites.models import Invitation, Membership, Role, Site, User, new_nonce

log = logging.getLogger(__name__)

VALID_FOR = dt.timedelta(days=7)


class AlreadyMemberError(Exception):
    """Who was to be invited is a member already."""


@transaction.atomic
def invite(site: Site, actor: User, email: str, role: Role, now: dt.datetime) -> Invitation:
    """Invite whoever has the address, or invite them anew. Raise NotYoursError or AlreadyMemberError."""
    email = email.lower()
    own = locked_role(site, actor)
    if role not in givable(own):
        raise NotYoursError
    if Membership.objects.filter(site=site, user__email=email).exists():
        raise AlreadyMemberError
    known = Invitation.objects.filter(site=site, email=email).first()
    if known and known.role > own:
        raise NotYoursError
    told = {"role": role, "invited_by": actor.email, "nonce": new_nonce(), "sent_at": None}
    invitation, _ = Invitation.objects.update_or_create(
        site=site, email=email, defaults=told | {"expires_at": now + VALID_FOR}
    )
    audit.note(actor, Action.INVITED, site, f"{email}, {role.label}")
    return invitation


@transaction.atomic
def revoke(site: Site, actor: User, number: int) -> Invitation:
    """Raise NotYoursError or Http404."""
    own = locked_role(site, actor)
    invitation = Invitation.objects.filter(site=site, pk=number).first()
    if invitation is None:
        raise Http404
    if own < Role.ADMIN or invitation.role > own:
        raise NotYoursError
    invitation.delete()
    audit.note(actor, Action.INVITATION_REVOKED, site, invitation.email)
    return invitation


def send(invitation: Invitation, now: dt.datetime) -> bool:
    """Mail the link; tell whether the mail server took it."""
    if not settings.HAS_MAIL_SERVER:
        return False
    told = {"invitation": invitation, "address": address(invitation), "may": all_that(Role(invitation.role))}
    subject = f"You are invited to {invitation.site.domain}"
    mail = EmailMessage(subject, render_to_string("sites/invitation_mail.txt", told), to=[invitation.email])
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        # The error's own text may hold the address.
        log.warning("invitation %s was not sent: %s", invitation.pk, type(error).__name__)
        return False
    Invitation.objects.filter(pk=invitation.pk).update(sent_at=now)
    return True


def address(invitation: Invitation) -> str:
    return f"{settings.BASE_URL}{reverse('sites:join', args=[_token(invitation)])}"


def invitation_of(token: str, now: dt.datetime) -> Invitation | None:
    """The invitation whose link has this token; None if it has none, has expired, was used or revoked."""
    number, _, signature = token.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    found = Invitation.objects.select_related("site").filter(pk=int(number), expires_at__gt=now).first()
    return found if found and constant_time_compare(_token(found), f"{number}-{signature}") else None


@transaction.atomic
def join(invitation: Invitation, user: User) -> bool:
    """Make the user a member, and the invitation nothing; tell whether it still was one."""
    used, _ = Invitation.objects.filter(pk=invitation.pk, nonce=invitation.nonce).delete()
    if not used:
        return False
    Membership.objects.get_or_create(site=invitation.site, user=user, defaults={"role": invitation.role})
    audit.note(user, Action.JOINED, invitation.site, f"as {invitation.get_role_display()}, by {invitation.invited_by}")
    return True


@transaction.atomic
def join_anew(invitation: Invitation, password: str) -> User | None:
    """Make an account for the invited address, and join with it; None if the invitation was used meanwhile."""
    user = User.objects.create_user(invitation.email, password)
    if not join(invitation, user):
        transaction.set_rollback(True)
        return None
    return user


def _token(invitation: Invitation) -> str:
    said = f"{invitation.pk}|{invitation.nonce}"
    return f"{invitation.pk}-{salted_hmac('sites.invitations', said, algorithm='sha256').hexdigest()}"
