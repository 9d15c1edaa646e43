from django.test import Client

from sites.models import Site
from splittests.preview import pick_token, script_for


def test_only_the_form_may_be_told_by_the_page_that_it_opens(site: Site, owner_client: Client) -> None:
    form = owner_client.get("/shop.example/split-tests/new/")
    assert form["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
    content = form.content.decode()
    assert 'data-origin="https://shop.example"' in content
    token = content.partition('data-pick-token="')[2].partition('"')[0]
    assert script_for(f"humblytics_pick={token}", site.pk, site.key) == script_for(
        f"humblytics_pick={pick_token(site)}", site.pk, site.key
    )
    assert "data-pick hidden" in content
    assert owner_client.get("/shop.example/split-tests/")["Cross-Origin-Opener-Policy"] == "same-origin"
