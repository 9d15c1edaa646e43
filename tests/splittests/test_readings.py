import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splittests.inference import Sums, sequential
from splittests.readings import Arm, Lead, Loss, Losses, Reading, Results, Returns, compare

STOPPED = {"is_stopped": True}


def many(name: str, visitors: int, conversions: int, amount: int = 1000, weight: int = 1) -> Arm:
    """An arm whose buyers paid the same each."""
    total = conversions * amount
    return Arm(name, weight, "eur", visitors, conversions, conversions, total, total, total, conversions * amount**2)


def reading(control: Arm, variant: Arm) -> Reading:
    return Results((control, variant)).readings[0]


@pytest.mark.parametrize(
    ("control", "variant", "tone", "sentence"),
    [
        pytest.param(
            many("A", 99, 30),
            many("B", 1000, 300),
            "",
            "Too early to tell: both need 100 visitors and 25 conversions.",
            id="few visitors",
        ),
        pytest.param(
            many("A", 1000, 300),
            many("B", 1000, 24),
            "",
            "Too early to tell: both need 100 visitors and 25 conversions.",
            id="few conversions",
        ),
        pytest.param(
            many("A", 1000, 100),
            many("B", 1000, 200),
            "good",
            "Between €0.51 and €1.49 more per visitor than A.",
            id="more",
        ),
        pytest.param(
            many("A", 1000, 200),
            many("B", 1000, 100),
            "bad",
            "Between €0.51 and €1.49 less per visitor than A.",
            id="less",
        ),
        pytest.param(
            many("A", 1000, 100),
            many("B", 1000, 110),
            "",
            "Anything between €0.33 less and €0.53 more per visitor than A.",
            id="either",
        ),
        pytest.param(
            many("A", 100, 100),
            many("B", 100, 100),
            "",
            "All visitors brought the same, so there is no range to be given.",
            id="no spread",
        ),
    ],
)
def test_the_sentence_says_what_the_interval_says(control: Arm, variant: Arm, tone: str, sentence: str) -> None:
    found = reading(control, variant)
    assert (found.tone, found.sentence) == (tone, sentence)


def verdict(*arms: Arm, **known: Any) -> tuple[str, str, str]:
    found = Results(arms, **known).verdict
    return found.title, found.text, found.winner


@pytest.mark.parametrize(
    ("arms", "known", "title", "part", "winner"),
    [
        pytest.param(
            [many("A", 0, 0), many("B", 0, 0)], {}, "No visitors yet", "Nobody has been shown", "", id="nobody"
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 2000, 400)],
            {},
            "Do not trust these figures",
            "split 33.3% and 66.7%, where the weights ask for 50.0% and 50.0%",
            "",
            id="lopsided",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200)],
            {"losses": Losses((Loss("A", 1000, 10), Loss("B", 1000, 60)))},
            "Do not trust these figures",
            "1.0% of A and 6.0% of B were lost",
            "",
            id="lost unevenly on the way",
        ),
        pytest.param(
            [many("A", 1000, 10), many("B", 2000, 10, weight=2)],
            {},
            "Too early to tell",
            "A has 1,000 and 10. Let the test run.",
            "",
            id="few",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 20)],
            STOPPED,
            "Too early to tell",
            "The test has stopped, so there is no winner.",
            "",
            id="few, and stopped",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200)],
            {"planned": 2001},
            "Not decided yet",
            "B is ahead of A so far. 2,000 of 2,001 planned visitors have come: let the test run until they are there.",
            "",
            id="ahead, one visitor before the plan",
        ),
        pytest.param(
            [many("A", 1000, 200), many("B", 1000, 100)],
            {"planned": 3000},
            "Not decided yet",
            "A is ahead so far. 2,000 of",
            "",
            id="behind before the plan",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 100)],
            {"planned": 3000},
            "Not decided yet",
            "2,000 of 3,000 planned visitors have come",
            "",
            id="even before the plan",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200)],
            {"planned": 3000, **STOPPED},
            "Stopped too early",
            "so there is no winner.",
            "",
            id="ahead, and stopped before the plan",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200)],
            {"planned": 2000},
            "B is the winner",
            "It brings between €0.52 and €1.48 more per visitor than A.",
            "B",
            id="ahead at the plan",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200)], {}, "B is the winner", "more", "B", id="ahead without a plan"
        ),
        pytest.param(
            [many("A", 1000, 200), many("B", 1000, 100)], {}, "A is the winner", "B brings between", "A", id="behind"
        ),
        pytest.param(
            [many("A", 1000, 200), many("B", 1000, 100), many("C", 1000, 90)],
            {},
            "A is the winner",
            "The best of the others, B, brings between",
            "A",
            id="all behind",
        ),
        pytest.param(
            [many("A", 1000, 100), many("B", 1000, 200), many("C", 1000, 210)],
            {},
            "C is the winner",
            "more per visitor than A.",
            "C",
            id="two ahead",
        ),
        pytest.param(
            [many("A", 1000, 200), many("B", 1000, 90), many("C", 1000, 190)],
            {},
            "No difference found",
            "per visitor than A: the difference may be chance. B did worse.",
            "",
            id="one behind, one open",
        ),
        pytest.param(
            [many("A", 100, 100), many("B", 100, 100)], {}, "Nothing to compare", "visitors who differ", "", id="alike"
        ),
        pytest.param([many("A", 1000, 100)], {}, "Nothing to compare", "second variant", "", id="one arm"),
    ],
)
def test_the_verdict_says_no_more_than_the_numbers(
    arms: list[Arm], known: dict[str, Any], title: str, part: str, winner: str
) -> None:
    found_title, found_text, found_winner = verdict(*arms, **known)
    assert (found_title, found_winner) == (title, winner)
    assert part in found_text


arms = st.builds(
    many,
    name=st.sampled_from("BCD"),
    visitors=st.integers(0, 5000),
    conversions=st.integers(0, 300),
    amount=st.integers(1, 10**6),
    weight=st.integers(1, 9),
).map(lambda arm: replace(arm, visitors=max(arm.visitors, arm.conversions)))


@settings(derandomize=True, max_examples=300)
@given(st.lists(arms, min_size=1, max_size=4), st.none() | st.integers(1, 20_000), st.booleans())
def test_nobody_wins_before_the_plan_or_with_too_few_or_in_a_broken_split(
    found: list[Arm], planned: int | None, is_stopped: bool
) -> None:
    results = Results(tuple(found), planned=planned, is_stopped=is_stopped)
    is_early = results.visitors < (planned or 0) or not all(arm.is_telling for arm in found)
    said = results.verdict
    if is_early or results.is_lopsided:
        assert said.winner == ""
        assert "is the winner" not in said.title + said.text
    assert bool(said.winner) == ("is the winner" in said.title)


def test_several_variants_have_to_show_more_than_one() -> None:
    control, variant, other = many("A", 1000, 100), many("B", 1000, 148), many("C", 1000, 101)
    alone = reading(control, variant)
    among = Results((control, variant, other)).readings[0]
    assert alone.p_value is not None
    assert among.p_value is not None
    assert alone.p_value < 0.05 < among.p_value
    assert (alone.lead, among.lead) == (Lead.AHEAD, Lead.OPEN)


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.tuples(st.integers(200, 5000), st.integers(30, 190)), min_size=2, max_size=5))
def test_each_interval_excludes_zero_exactly_where_holms_p_value_is_small(numbers: list[tuple[int, int]]) -> None:
    for each in compare([Sums(n, hits, hits) for n, hits in numbers], planned=None):
        assert each.always is not None
        assert each.p_value is not None
        if abs(each.p_value - 0.05) > 1e-9:
            assert each.always.difference.holds(0) == (each.p_value > 0.05)


def test_one_variant_alone_is_read_without_any_correction() -> None:
    control, variant = Sums(5000, 300, 300), Sums(5000, 350, 350)
    (found,) = compare([control, variant], planned=20_000)
    assert found.always == sequential(control, variant, sample=20_000)
    assert found.always is not None
    assert found.p_value == found.always.p_value


def test_every_text_stands_without_visitors_or_purchases() -> None:
    for visitors in (0, 1, 900):
        control, variant = many("A", visitors, 0), many("B", visitors, 0)
        found = reading(control, variant)
        texts = (
            found.difference_text,
            found.uplift_text,
            found.believed_uplift_text,
            found.chance_text,
            found.risk_text,
            found.control_risk_text,
            found.p_text,
        )
        assert set(texts) == {"–"}
        assert found.drawing is None
        assert (control.average_order_text, control.returned_text) == ("–", "–")
    nobody = many("A", 0, 0)
    assert (nobody.rate_text, nobody.rate_range, nobody.per_visitor_text) == ("–", "", "–")


def test_figures_are_given_with_their_ranges() -> None:
    control, variant = many("A", 1000, 100), many("B", 1000, 110)
    found = reading(control, variant)
    assert (control.rate_text, control.rate_range) == ("10.0%", "8.3% to 12.0%")
    assert control.per_visitor_text == "€1.00"
    assert (control.average_order_text, control.net_text) == ("€10.00", "€1,000.00")
    assert (found.difference_text, found.uplift_text) == ("+€0.10", "+10.0% (-34.9% to +54.9%)")
    assert found.believed_uplift_text == "+8.1% (-17.3% to +33.6%)"
    assert (found.chance_text, found.p_text) == ("73.5%", "p = 1.000")
    assert (found.risk_text, found.control_risk_text) == ("€0.02 (2.09%)", "€0.10 (10.22%)")


@pytest.mark.parametrize(("conversions", "chance"), [(20, "under 0.1%"), (100, "50.0%"), (400, "over 99.9%")])
def test_a_chance_is_never_given_as_certain(conversions: int, chance: str) -> None:
    assert reading(many("A", 1000, 100), many("B", 1000, conversions)).chance_text == chance


def test_a_cap_decides_and_what_it_left_out_stays_beside_it() -> None:
    control = many("A", 1000, 100)
    whale = replace(many("B", 1000, 200), net=5_000_000, gross=5_000_000)
    results = Results((control, whale), cap=1000)
    assert results.verdict.winner == "B"
    assert results.verdict.text == "It brings between €0.51 and €1.49 more per visitor than A."
    assert (whale.per_visitor_text, whale.capped_per_visitor_text, results.cap_text) == ("€50.00", "€2.00", "€10.00")


def test_one_huge_order_is_a_range_and_no_winner() -> None:
    whale = 5_000_000
    control, variant = many("A", 1000, 100), many("B", 1000, 100)
    lucky = replace(
        variant,
        gross=variant.gross + whale,
        net=variant.net + whale,
        capped=variant.capped + whale,
        capped_squares=variant.capped_squares + whale**2,
    )
    results = Results((control, lucky))
    assert results.verdict.winner == ""
    always = results.readings[0].always
    assert always
    assert always.difference.low < 0 < always.difference.high


def test_what_went_back_after_the_stop_is_told() -> None:
    late = Returns(1250, dt.datetime(2026, 11, 24, tzinfo=dt.UTC))
    assert Results((many("A", 9, 1),), returns=late).returns_text == "€12.50"
    assert Results((many("A", 9, 1),), returns=replace(late, amount=-1250)).returns_text == "€12.50"


@pytest.mark.parametrize(("ripening", "text"), [(1, "Less than 1%"), (120, "12%"), (1000, "100%")])
def test_the_share_who_may_yet_buy_is_told(ripening: int, text: str) -> None:
    assert Results((many("A", 600, 1), many("B", 390, 1)), excluded=10, ripening=ripening).ripening_text == text


def test_drawings_share_a_scale_on_which_zero_has_its_place() -> None:
    results = Results((many("A", 1000, 100), many("B", 1000, 200), many("C", 1000, 190)))
    drawings = [found.drawing for found in results.readings]
    assert all(one is not None for one in drawings)
    for one in drawings:
        assert one is not None
        assert 0 < one.zero < one.low < one.estimate < one.high < 100
    assert len({one.zero for one in drawings if one}) == 1


@pytest.mark.parametrize(
    ("control", "variant", "is_lopsided"),
    [
        pytest.param(many("A", 1000, 1), many("B", 1100, 1), False, id="chance"),
        pytest.param(many("A", 1000, 1), many("B", 1200, 1), True, id="not chance"),
        pytest.param(many("A", 1000, 1), many("B", 2000, 1, weight=2), False, id="as the weights say"),
        pytest.param(many("A", 0, 0), many("B", 0, 0), False, id="nobody"),
    ],
)
def test_visitors_who_split_unlike_the_weights_are_noticed(control: Arm, variant: Arm, is_lopsided: bool) -> None:
    assert Results((control, variant)).is_lopsided is is_lopsided
