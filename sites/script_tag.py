import base64
import hashlib

from django.conf import settings

from sites.models import Site

# Until the script is there, and if it never comes: an id to give to the checkout, and a queue of what was tracked.
# The id is made as static/js/tracker.js makes it.
STUB = (
    "(queue=>window.Humblytics||={queue,"
    'viewId:("0"+Date.now().toString(16)+"-7xxx-8xxx-xxxxxxxxxxxx").replace(/.{8}/,"$&-")'
    ".replace(/x/g,()=>(crypto.getRandomValues(new Uint8Array(1))[0]&15).toString(16)),"
    "track(...hit){queue.push(hit)},variant(){},"
    'ready:new Promise(done=>addEventListener("load",()=>done(Humblytics.viewId)))})([])'
)


def script_url(site: Site) -> str:
    return f"{settings.BASE_URL}/js/{site.key}.js"


def script_tag(site: Site) -> str:
    """Give the HTML that the site's pages need so that their views are counted."""
    return f'<script src="{script_url(site)}"></script>'


def tags(site: Site) -> dict[str, object]:
    """Give the script tag, and the stub that may stand before it, as the instructions show them.

    With the stub no page has to ask whether the script is there. `stub_source` is what a page's
    Content-Security-Policy must allow in script-src for it.
    """
    digest = base64.b64encode(hashlib.sha256(STUB.encode()).digest()).decode()
    return {
        "script_tag": script_tag(site),
        "stub_tag": f"<script>{STUB}</script>",
        "stub_source": f"'sha256-{digest}'",
    }
