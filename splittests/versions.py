"""A change to a test that has been started: the same test anew, as a draft."""

from django.db import transaction
from django.utils import timezone

from sites.models import Site
from splittests.models import SplitTest, State
from splittests.models.definitions import new_secret


@transaction.atomic
def next_version(test: SplitTest) -> SplitTest:
    """Give the draft that comes after all versions of a test, a copy of this one if there is none yet.

    It deals visitors anew, so that none brings along what the version before has shown them.
    """
    Site.objects.select_for_update().get(pk=test.site_id)
    latest = SplitTest.objects.filter(site_id=test.site_id, key=test.key).order_by("-version")[0]
    if latest.state == State.DRAFT:
        return latest
    draft = SplitTest.objects.get(pk=test.pk)
    parts = [*draft.variants.order_by("pk"), *draft.metrics.order_by("pk")]
    for name in ("started_at", "stopped_at", "gathered_at"):
        setattr(draft, name, None)
    if draft.starts_at or (draft.ends_at and draft.ends_at <= timezone.now()):
        draft.starts_at = draft.ends_at = None
    draft.pk, draft.previous, draft.version = None, test, latest.version + 1
    draft.state, draft.secret, draft.start_refusal = State.DRAFT, new_secret(), ""
    draft._state.adding = True
    draft.save()
    for part in parts:
        part.pk, part.test = None, draft
        part._state.adding = True
        part.save()
    return draft
