import datetime as dt

import pytest
from django.test import Client

from sites.models import Site
from splittests.crossings import CHOICE, losses
from splittests.exposures import gather
from splittests.models import Kind, SplitTest
from splittests.readings import Loss, Losses
from splittests.redirects import sign
from tests.factories import send_event, send_hit
from tests.splittests.selling import HOUR, NOON, running

LATER = NOON + HOUR


@pytest.fixture
def test(site: Site) -> SplitTest:
    return running(site, "Control", "New page", kind=Kind.REDIRECT, key="page", pages=["/old"])


def lead(test: SplitTest, name: str, ip: str, arrives: bool, at: dt.datetime = NOON) -> None:
    """Let somebody be chosen for a variant, and come to it or not, as the tracker reports it."""
    send_event(test.site, CHOICE, {"test": test.key, "variant": name}, ip=ip, at=at)
    variant = test.variants.get(name=name)
    if arrives and name == "Control":
        send_hit(test.site, "/old", ip=ip, at=at, variants=[variant.pk])
    elif arrives:
        send_hit(test.site, "/new", ip=ip, at=at, split=sign(variant.pk, at))


def test_who_is_chosen_and_not_seen_is_lost_to_their_variant(test: SplitTest, owner_client: Client) -> None:
    assert losses(test, LATER) is None
    for n in range(4):
        lead(test, "Control", f"203.0.113.{n}", arrives=True)
        lead(test, "New page", f"198.51.100.{n}", arrives=n > 0)
    # Chosen twice, seen once; before the test began; and still on the way.
    lead(test, "Control", "203.0.113.0", arrives=False)
    lead(test, "New page", "192.0.2.1", arrives=False, at=test.started_at - HOUR)
    lead(test, "New page", "192.0.2.2", arrives=False, at=LATER)
    gather(test)
    found = losses(test, LATER)
    assert found
    assert found.arms == (Loss("Control", 4, 0), Loss("New page", 4, 1))
    assert not found.is_uneven
    shown = owner_client.get(f"/shop.example/split-tests/{test.pk}/").content.decode()
    # By now the last has been on the way for too long.
    assert "New page 2 of 5 (40.0%)" in shown
    told = owner_client.get(f"/shop.example/split-tests/{test.pk}/results.json").json()
    assert told["losses"] == [
        {"name": "Control", "led": 4, "lost": 0},
        {"name": "New page", "led": 5, "lost": 2},
    ]
    assert told["losses_are_uneven"] is False
    rows = owner_client.get(f"/shop.example/split-tests/{test.pk}/results.csv").content.decode().splitlines()
    assert [row.split(",")[-4:-2] for row in rows] == [["led", "lost"], ["4", "0"], ["5", "2"]]


def test_arms_lose_differently_when_chance_hardly_does() -> None:
    assert Losses((Loss("Control", 1000, 10), Loss("New page", 1000, 60))).is_uneven
    assert not Losses((Loss("Control", 1000, 10), Loss("New page", 2000, 24))).is_uneven
    assert not Losses((Loss("Control", 3, 0), Loss("New page", 3, 3))).is_uneven


def test_only_redirects_lose_anybody(test: SplitTest) -> None:
    lead(test, "Control", "203.0.113.1", arrives=False)
    SplitTest.objects.update(kind=Kind.CHANGES)
    assert losses(SplitTest.objects.get(), LATER) is None
