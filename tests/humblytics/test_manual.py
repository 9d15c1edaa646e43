"""The help pages, as the README has them."""

import re

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.test import Client
from django.urls import reverse

from humblytics import manual

APPS = ("humblytics", "sites", "tracking", "revenue", "splittests")
README = (settings.BASE_DIR / "README.md").read_text()


@pytest.mark.parametrize("topic", manual.TOPICS.values(), ids=lambda topic: topic.slug)
def test_a_topic_shows_its_sections_with_links_that_lead_somewhere(owner_client: Client, topic: manual.Topic) -> None:
    page = owner_client.get(reverse("help", args=[topic.slug])).content.decode()
    assert f"<h1>{topic.title}</h1>" in page
    text = manual.page(topic.slug)
    assert len(text) > 500
    assert "<img" not in text
    for address in re.findall(r'href="([^"]*)"', text):
        assert address.startswith("https://") or owner_client.get(address).status_code == 200, address


def test_links_between_sections_lead_to_their_topics() -> None:
    assert f'<a href="{reverse("help", args=["install"])}">Install it</a>' in manual.page("start")


def test_what_of_the_readme_is_no_help_is_listed() -> None:
    shown = {heading for topic in manual.TOPICS.values() for heading in topic.headings}
    headings = set(re.findall(r"^## (.+)$", README, re.MULTILINE))
    assert headings - shown == {"Try it", "How it is built", "Licence"}


def test_the_help_names_every_setting_and_command_that_there_is() -> None:
    variables = set(re.findall(r'env\.\w+\("([A-Z_]+)"', (settings.BASE_DIR / "humblytics/settings.py").read_text()))
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    assert told == variables
    ours = {name for name, app in get_commands().items() if app in APPS}
    # Told among the steps of an update.
    ours.remove("migrate")
    documented = set(re.findall(r"^\| `([a-z_]+)[ `\[]", README, re.MULTILINE))
    assert documented & ours == ours
    for name in documented & ours:
        (options,) = re.findall(rf"^\| `{name}(.*?)` \|", README, re.MULTILINE)
        known = load_command_class(get_commands()[name], name).create_parser("manage.py", name)._option_string_actions
        assert set(re.findall(r"--[a-z-]+", options)) <= set(known)


@pytest.mark.django_db
def test_strangers_are_asked_to_log_in_and_see_no_link(client: Client) -> None:
    assert client.get(reverse("help-index")).status_code == 302
    assert reverse("help-index") not in client.get(reverse("login")).content.decode()
