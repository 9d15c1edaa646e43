"""Who may do what on a site, and how that is changed.

A site is never without an owner, nobody gives more than they have, and nobody touches who has more. All of it is
decided under a lock of the site's row, on what is in the database then, so that two changes at once cannot break it.
"""

from dataclasses import dataclass

from django.db import transaction
from django.shortcuts import get_object_or_404

from sites import audit
from sites.audit import Action
from sites.models import Membership, Role, Site, User

# What each role adds to the one below.
MAY = {
    Role.VIEWER: "sees the dashboard, the revenue and the split tests, and takes files",
    Role.EDITOR: "also starts, changes and stops split tests",
    Role.ADMIN: "also changes the settings, sets Stripe keys, makes links and tokens, and invites and removes people",
    Role.OWNER: "also makes other owners, takes that from them, and deletes the site",
}


def all_that(role: Role) -> str:
    """Say in a sentence what somebody with this role may, with all that the lower ones may."""
    article = "A" if role == Role.VIEWER else "An"
    return f"{article} {role.label.lower()} {'; '.join(MAY[each] for each in Role if each <= role)}."


class LastOwnerError(Exception):
    """The site would be left without an owner."""


class NotYoursError(Exception):
    """Somebody may not give that role, or not change that member."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member, and what the one who asks may make of them; `roles` is empty if nothing."""

    membership: Membership
    is_self: bool
    roles: list[Role]


def members(site: Site, asking: User) -> list[Member]:
    rows = list(site.memberships.select_related("user").order_by("-role", "user__email"))
    own = next((Role(row.role) for row in rows if row.user_id == asking.pk), None)
    return [
        Member(row, row.user_id == asking.pk, givable(own) if own is not None and row.role <= own else [])
        for row in rows
    ]


def givable(own: Role) -> list[Role]:
    """The roles that somebody with this role may give, the lowest first; none below administrators."""
    return [role for role in Role if role <= own] if own >= Role.ADMIN else []


def locked_role(site: Site, user: User) -> Role:
    """Lock the site's members until the transaction ends, and give the user's role among them. Raise Http404."""
    # Not against the hits that come in, whose rows point at the site.
    get_object_or_404(Site.objects.select_for_update(no_key=True), pk=site.pk)
    return Role(get_object_or_404(Membership, site=site, user=user).role)


@transaction.atomic
def change_role(site: Site, actor: User, number: int, role: Role) -> Membership:
    """Give the member of that number another role. Raise NotYoursError, LastOwnerError or Http404."""
    own = locked_role(site, actor)
    membership = get_object_or_404(site.memberships.select_related("user"), pk=number)
    if membership.role > own or role not in givable(own):
        raise NotYoursError
    if role != Role.OWNER:
        _keep_an_owner(membership)
    if role != membership.role:
        was, membership.role = membership.get_role_display(), role
        membership.save(update_fields=["role"])
        audit.note(actor, Action.ROLE_CHANGED, site, f"{membership.user}: {was} to {role.label}")
    return membership


@transaction.atomic
def remove(site: Site, actor: User, number: int) -> Membership:
    """Take the member of that number off the site. Raise NotYoursError, LastOwnerError or Http404."""
    own = locked_role(site, actor)
    membership = get_object_or_404(site.memberships.select_related("user"), pk=number)
    if own < Role.ADMIN or membership.role > own:
        raise NotYoursError
    _keep_an_owner(membership)
    membership.delete()
    audit.note(actor, Action.MEMBER_REMOVED, site, f"{membership.user}, {membership.get_role_display()}")
    return membership


@transaction.atomic
def leave(site: Site, user: User) -> None:
    """Raise LastOwnerError or Http404."""
    locked_role(site, user)
    membership = Membership.objects.get(site=site, user=user)
    _keep_an_owner(membership)
    membership.delete()
    audit.note(user, Action.LEFT, site, membership.get_role_display())


def owned_alone(user: User) -> list[Site]:
    """The sites that would be left without an owner if the user went."""
    owned = Site.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
    shared = Membership.objects.filter(role=Role.OWNER).exclude(user=user).values("site")
    return list(owned.exclude(pk__in=shared).order_by("domain"))


def _keep_an_owner(membership: Membership) -> None:
    others = Membership.objects.filter(site=membership.site_id, role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not others.exists():
        raise LastOwnerError
