import datetime as dt
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites import tokens
from sites.models import ApiToken, Site
from sites.tokens import BURST, PER_SECOND, TooManyRequestsError, UnknownTokenError, issue, use

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def test_a_token_is_known_by_its_hash_alone(site: Site) -> None:
    token = issue(site, "Sheet", ApiToken.Scope.TRAFFIC)
    kept = ApiToken.objects.get()
    assert kept.used_at is None
    used = use(token, NOON)
    assert (used.token, used.token.site) == (kept, site)
    kept.refresh_from_db()
    assert kept.used_at == NOON
    for other in (kept.digest, token.lower(), token[:-1], "", "\udcff".encode(errors="replace").decode()):
        with pytest.raises(UnknownTokenError):
            use(other, NOON)
    kept.delete()
    with pytest.raises(UnknownTokenError):
        use(token, NOON)


def test_a_token_may_be_used_so_often_at_once_and_then_so_often_a_second(site: Site) -> None:
    token, other = issue(site, "Sheet"), issue(site, "Other")
    assert [use(token, NOON).remaining for _ in range(BURST)] == [*range(BURST - 1, -1, -1)]
    with pytest.raises(TooManyRequestsError) as refused:
        use(token, NOON)
    assert refused.value.wait == SECOND / PER_SECOND
    assert use(other, NOON).remaining == BURST - 1
    for _ in range(PER_SECOND):
        use(token, NOON + SECOND)
    with pytest.raises(TooManyRequestsError):
        use(token, NOON + SECOND)


@settings(max_examples=30)
@given(pauses=st.lists(st.integers(0, 1_500), min_size=6, max_size=25))
@pytest.mark.django_db
def test_whatever_the_pauses_no_token_is_used_more_often(
    site: Site, monkeypatch: pytest.MonkeyPatch, pauses: list[int]
) -> None:
    """Beside a plain count of what is left; pauses are milliseconds."""
    monkeypatch.setattr(tokens, "BURST", 4)
    token, now, left = issue(site, "Sheet"), NOON, 4.0
    for pause in pauses:
        now += dt.timedelta(milliseconds=pause)
        left = min(left + PER_SECOND * pause / 1000, 4)
        # In floats, what is whole may be a little less.
        if left > 1 - 1e-9:
            left -= 1
            assert use(token, now).remaining == math.floor(left + 1e-9)
        else:
            with pytest.raises(TooManyRequestsError) as refused:
                use(token, now)
            assert refused.value.wait.total_seconds() >= (1 - left) / PER_SECOND - 1e-6
