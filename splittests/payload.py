"""What the tracker needs to know of a site's running tests for one visitor."""

from django.db.models import Prefetch

from sites.models import Site
from splittests.assignment import identity, variant_for
from splittests.models import SplitTest, Variant


def tests_for(site: Site, ip: str, user_agent: str) -> list[dict[str, object]]:
    """Give each running test with the variant that this address and browser are shown; nothing is stored."""
    running = (
        SplitTest.objects.filter(site=site)
        .running()
        .prefetch_related(Prefetch("variants", Variant.objects.order_by("id")))
    )
    return [_shown(test, ip, user_agent) for test in running]


def _shown(test: SplitTest, ip: str, user_agent: str) -> dict[str, object]:
    variants = list(test.variants.all())
    chosen = variants[variant_for(bytes(test.secret), identity(ip, user_agent), [one.weight for one in variants])]
    texts = [change for one in variants for change in one.changes if change["action"] == "text"]
    selector = texts[0]["selector"] if texts else ""
    own = (change["value"] for change in chosen.changes if (change["selector"], change["action"]) == (selector, "text"))
    return {
        "key": test.key,
        "path": test.pages[0],
        "selector": selector,
        "name": chosen.name,
        "variant": chosen.pk,
        "text": next(own, ""),
    }
