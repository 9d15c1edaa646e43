import datetime as dt
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue.attribution import (
    CLOCKS_APART,
    PATIENCE,
    WINDOW,
    Carried,
    Decision,
    Evidence,
    Model,
    Reason,
    SeenView,
    SeenVisit,
    carried,
    decide,
)

PAID = dt.datetime(2026, 3, 1, 18, tzinfo=dt.UTC)
ID = uuid.UUID("0190163d-8694-739b-aea5-966c26f8ad91")
SHOP, BLOG = 1, 2


def visit(number: int, hours_before: float, channel: str, **changed: Any) -> SeenVisit:
    tags = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"]
    place = ["country", "region", "city", "browser", "os", "device"]
    words = dict.fromkeys(["source", "referrer", *tags, *place], "")
    return SeenVisit(
        **{
            **words,
            "id": uuid.UUID(int=number),
            "started_at": PAID - dt.timedelta(hours=hours_before),
            "landing_page": "/",
            "channel": channel,
            "variants": (),
            **changed,
        }
    )


def view(of: int, hours_before: float = 0.1, site: int = SHOP, **changed: Any) -> SeenView:
    return SeenView(
        **{
            "site": site,
            "id": ID,
            "visit_id": uuid.UUID(int=of),
            "visitor": uuid.UUID(int=99),
            "at": PAID - dt.timedelta(hours=hours_before),
            "path": "/buy",
            "variants": (),
            **changed,
        }
    )


def decided(**changed: Any) -> Decision:
    return decide(
        **{
            "found": Carried(Evidence.SESSION, str(ID), ID),
            "has_session": True,
            "view": None,
            "visits": [],
            "sites": frozenset({SHOP}),
            "paid_at": PAID,
            "begun_at": changed.get("paid_at", PAID),
            "now": PAID + dt.timedelta(hours=2),
            "model": Model.LAST_NON_DIRECT,
            **changed,
        }
    )


@pytest.mark.parametrize(
    ("carriers", "expected"),
    [
        pytest.param([], Carried(None, "", None), id="nothing"),
        pytest.param([(Evidence.SESSION, "")], Carried(None, "", None), id="empty"),
        pytest.param([(Evidence.SESSION, str(ID))], Carried(Evidence.SESSION, str(ID), ID), id="session"),
        pytest.param(
            [(Evidence.SESSION, f" {str(ID).upper()}\n")],
            Carried(Evidence.SESSION, str(ID).upper(), ID),
            id="capitals and spaces",
        ),
        pytest.param(
            [(Evidence.CHARGE, str(ID)), (Evidence.SESSION, str(uuid.UUID(int=5)))],
            Carried(Evidence.CHARGE, str(ID), ID),
            id="the charge's own comes first",
        ),
        pytest.param(
            [(Evidence.CHARGE, "undefined"), (Evidence.SESSION, str(ID))],
            Carried(Evidence.SESSION, str(ID), ID),
            id="an illegible one does not hide a legible one",
        ),
        pytest.param(
            [(Evidence.SESSION, "<script>"), (Evidence.REFERENCE, "order 7")],
            Carried(Evidence.SESSION, "<script>", None),
            id="illegible",
        ),
        pytest.param([(Evidence.REFERENCE, "order 7")], Carried(None, "", None), id="the merchant's own reference"),
        pytest.param([(Evidence.REFERENCE, str(ID))], Carried(Evidence.REFERENCE, str(ID), ID), id="reference"),
        pytest.param([(Evidence.SESSION, ID.hex)], Carried(Evidence.SESSION, ID.hex, None), id="no hyphens"),
        pytest.param([(Evidence.SESSION, f"{{{ID}}}")], Carried(Evidence.SESSION, f"{{{ID}}}", None), id="braces"),
        pytest.param(
            [(Evidence.SESSION, str(ID).replace("0", "\u0660"))],
            Carried(Evidence.SESSION, str(ID).replace("0", "\u0660"), None),
            id="foreign digits",
        ),
    ],
)
def test_the_first_legible_id_in_the_order_of_trust_is_believed(
    carriers: list[tuple[Evidence, str]], expected: Carried
) -> None:
    assert carried(carriers) == expected


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        pytest.param({"found": Carried(None, "", None)}, Reason.NO_ID, id="no id"),
        pytest.param({"found": Carried(None, "", None), "has_session": False}, Reason.NO_SESSION, id="no session"),
        pytest.param({"found": Carried(Evidence.SESSION, "x", None)}, Reason.MALFORMED, id="malformed"),
        pytest.param({"now": PAID}, Reason.WAITING, id="waiting"),
        pytest.param({"now": PAID + PATIENCE}, Reason.UNKNOWN, id="waited long enough"),
        pytest.param({"view": view(1), "visits": []}, Reason.UNKNOWN, id="view without its visit"),
        pytest.param(
            {"view": view(1, site=BLOG), "visits": [visit(1, 1, "Email")]}, Reason.OTHER_SITE, id="other site"
        ),
        pytest.param(
            {"view": view(1, at=PAID - WINDOW - dt.timedelta(seconds=1)), "visits": [visit(1, 999, "Email")]},
            Reason.TOO_OLD,
            id="too old",
        ),
        pytest.param(
            {
                "found": Carried(Evidence.CUSTOMER, str(ID), ID),
                "view": view(1, at=PAID + CLOCKS_APART + dt.timedelta(seconds=1)),
                "visits": [visit(1, -1, "Email")],
            },
            Reason.TOO_LATE,
            id="too late",
        ),
    ],
)
def test_a_payment_without_a_visit_has_exactly_one_reason(known: dict[str, Any], reason: Reason) -> None:
    decision = decided(**known)

    assert decision.reason is reason
    assert (decision.view, decision.visit) == (None, None)


def test_a_view_at_the_edge_of_the_window_counts() -> None:
    old = view(1, at=PAID - WINDOW)

    assert decided(view=old, visits=[visit(1, 24 * 30 + 1, "Email")]).reason is None


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained_with_a_way_out(reason: Reason) -> None:
    assert reason.sentence.endswith(".")
    assert reason.fix.endswith(".")


MORNING = [
    visit(1, 8, "Organic Search"),
    visit(2, 5, "Email"),
    visit(3, 2, "Direct"),
    visit(4, -1, "Paid Search"),
]


@pytest.mark.parametrize(
    ("model", "purchase", "credited"),
    [
        pytest.param(Model.LAST_NON_DIRECT, 3, 2, id="direct passes the credit on"),
        pytest.param(Model.LAST, 3, 3, id="last is the purchase's own"),
        pytest.param(Model.FIRST, 3, 1, id="first of the day"),
        pytest.param(Model.LAST_NON_DIRECT, 2, 2, id="a sourced purchase keeps it"),
    ],
)
def test_a_model_chooses_among_the_visits_of_the_day(model: Model, purchase: int, credited: int) -> None:
    hours = {2: 4.9, 3: 0.1}[purchase]
    decision = decided(model=model, view=view(purchase, hours), visits=MORNING)

    assert decision.visit
    assert decision.visit.id == uuid.UUID(int=credited)


def test_a_day_of_direct_visits_credits_the_purchases_own() -> None:
    only_direct = [visit(1, 8, "Direct"), visit(2, 1, "Direct")]
    decision = decided(view=view(2), visits=only_direct)

    assert decision.visit
    assert decision.visit.id == uuid.UUID(int=2)


def test_the_variants_are_all_that_were_shown_up_to_the_purchase() -> None:
    shown = [
        visit(1, 8, "Email", variants=(7,)),
        visit(2, 1, "Direct", variants=(3,)),
        visit(3, -1, "Direct", variants=(9,)),
    ]

    assert decided(view=view(2, variants=(4, 3)), visits=shown).variants == (3, 4, 7)


@given(
    hours=st.lists(st.floats(-5, 20), min_size=1, max_size=6),
    channels=st.lists(st.sampled_from(["Direct", "Email", "Paid Search"]), min_size=6, max_size=6),
    model=st.sampled_from(list(Model)),
    data=st.data(),
)
def test_the_credited_visit_is_one_that_began_before_the_purchase(
    hours: list[float], channels: list[str], model: Model, data: st.DataObject
) -> None:
    visits = [visit(number, ago, channels[number]) for number, ago in enumerate(hours)]
    purchase = data.draw(st.sampled_from(visits))
    chosen = decided(
        view=view(purchase.id.int, at=purchase.started_at), visits=visits, model=model, paid_at=purchase.started_at
    ).visit

    assert chosen
    assert chosen.started_at <= purchase.started_at
    if model is Model.LAST_NON_DIRECT and chosen.channel == "Direct":
        assert chosen.id == purchase.id
