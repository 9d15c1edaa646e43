"""Settings → Members: who may change whom, and that a site always has an owner."""

import threading

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from sites import members
from sites.members import LastOwnerError, NotYoursError, change_role, leave, remove
from sites.models import AuditEntry, Membership, Role, Site, User
from tests.factories import MembershipFactory, SiteFactory

PAGE = "/shop.example/settings/members/"


def role_of(user: User) -> int | None:
    return Membership.objects.filter(user=user, site__domain="shop.example").values_list("role", flat=True).first()


@pytest.mark.parametrize("own", Role)
@pytest.mark.parametrize("theirs", Role)
@pytest.mark.parametrize("given", Role)
def test_nobody_gives_more_than_they_have_or_touches_who_has_more(
    site: Site, own: Role, theirs: Role, given: Role
) -> None:
    actor, other = (MembershipFactory(site=site, role=role) for role in (own, theirs))
    may = own >= Role.ADMIN and theirs <= own and given <= own
    if may:
        change_role(site, actor.user, other.pk, given)
    else:
        with pytest.raises(NotYoursError):
            change_role(site, actor.user, other.pk, given)
    assert role_of(other.user) == (given if may else theirs)
    offered = {each.membership.pk: each.roles for each in members.members(site, actor.user)}
    assert (given in offered[other.pk]) == (own >= Role.ADMIN and theirs <= own and given <= own)


@pytest.mark.parametrize("own", Role)
@pytest.mark.parametrize("theirs", Role)
def test_only_who_has_as_much_removes_a_member(site: Site, own: Role, theirs: Role) -> None:
    actor, other = (MembershipFactory(site=site, role=role) for role in (own, theirs))
    if own >= Role.ADMIN and theirs <= own:
        remove(site, actor.user, other.pk)
        assert role_of(other.user) is None
    else:
        with pytest.raises(NotYoursError):
            remove(site, actor.user, other.pk)


@pytest.mark.parametrize("way", ["step down", "be removed", "leave"])
def test_the_last_owner_stays_one_and_is_told_why(owner_client: Client, site: Site, owner: User, way: str) -> None:
    MembershipFactory(site=site, role=Role.ADMIN)
    own = Membership.objects.get(user=owner).pk
    address = {
        "step down": reverse("sites:change-role", args=[site.domain, own]),
        "be removed": reverse("sites:remove-member", args=[site.domain, own]),
        "leave": reverse("sites:leave", args=[site.domain]),
    }[way]
    page = owner_client.post(address, {"role": Role.ADMIN}, follow=True).content.decode()
    assert "A site needs an owner." in page
    assert role_of(owner) == Role.OWNER
    MembershipFactory(site=site, role=Role.OWNER)
    owner_client.post(address, {"role": Role.ADMIN})
    assert role_of(owner) == (Role.ADMIN if way == "step down" else None)


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_once_leave_one(site: Site, owner: User) -> None:
    other = MembershipFactory(site=site, role=Role.OWNER).user
    refused: list[User] = []
    together = threading.Barrier(2)

    def go(user: User) -> None:
        together.wait()
        try:
            leave(site, user)
        except LastOwnerError:
            refused.append(user)
        connection.close()

    threads = [threading.Thread(target=go, args=[user]) for user in (owner, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert list(Membership.objects.filter(site=site).values_list("user", flat=True)) == [refused[0].pk]


def test_changes_of_members_are_noted(owner_client: Client, site: Site) -> None:
    other = MembershipFactory(site=site, role=Role.VIEWER, user__email="anna@example.com")
    owner_client.post(reverse("sites:change-role", args=[site.domain, other.pk]), {"role": Role.EDITOR})
    owner_client.post(reverse("sites:change-role", args=[site.domain, other.pk]), {"role": Role.EDITOR})
    owner_client.post(reverse("sites:remove-member", args=[site.domain, other.pk]))
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("role_changed", "anna@example.com: Viewer to Editor"),
        ("member_removed", "anna@example.com, Editor"),
    ]


def test_a_member_of_another_site_is_not_found(owner_client: Client, site: Site) -> None:
    other = MembershipFactory(site=SiteFactory(), role=Role.VIEWER)
    for name in ("sites:change-role", "sites:remove-member"):
        assert owner_client.post(reverse(name, args=[site.domain, other.pk]), {"role": 1}).status_code == 404
    assert Membership.objects.filter(pk=other.pk, role=Role.VIEWER).exists()


def test_who_may_not_see_the_members_any_more_gets_to_their_sites(client: Client, site: Site) -> None:
    admin = MembershipFactory(site=site, role=Role.ADMIN)
    client.force_login(admin.user)
    response = client.post(reverse("sites:change-role", args=[site.domain, admin.pk]), {"role": Role.VIEWER})
    assert response.headers["Location"] == "/"
    assert client.get(PAGE).status_code == 404


def test_the_page_says_who_is_a_member_and_what_each_may_do(owner_client: Client, site: Site) -> None:
    MembershipFactory(site=site, role=Role.VIEWER, user__email="anna@example.com")
    page = owner_client.get(PAGE).content.decode()
    for text in ("owner@example.com", "(you)", "anna@example.com", "takes that from them, and deletes the site"):
        assert text in page
