"""Balanced records: even shares, no dependence beyond the rules, fixed and excluded values."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from toolkit.dataset.balance import Tally, balanced_records
from toolkit.dataset.balance_measures import cramers_v, measure_balance, shares
from toolkit.dataset.draws import independent_draw, sample_record
from toolkit.dataset.factors import COLOR, FACTORS, NUM_LEVELS, PLACE, levels_of, values_of
from toolkit.dataset.records import AttributeRecord, check_values
from toolkit.dataset.rules import AT_WORK, allowed_pairs, conflicts, contradictions
from toolkit.dataset.selection import choices_of, parse_selection, resolve
from toolkit.dataset.targets import make_targets, pairs_of_factors, quasi_independent
from toolkit.dataset.vocabulary import (
    ANY,
    ATTRIBUTES,
    BEARDS,
    EXPRESSIONS,
    NONE,
    PLACES,
    split_color,
)
from toolkit.errors import InputError

RECORDS = balanced_records(400, seed=3)


# --- rules ---


@pytest.mark.parametrize("record", RECORDS[::23], ids=lambda r: str(r.index))
def test_records_obey_the_rules_as_one_would_write_them_by_hand(record):
    v = check_values(record.values)
    assert sum(v[place] != NONE for place in PLACES) == 1
    assert v["gender"] == "man" or v["facial details"] not in BEARDS
    assert (v["hair style"] == "bald") == (v["hair color"] == NONE)
    assert (v["hair style"] in ("bald", "buzz cut")) == (v["hair type"] == NONE)
    faces = EXPRESSIONS.get(v["emotion"], (v["facial expression"],))
    assert v["facial expression"] in (*faces, ANY)
    assert (v["lower body"] == NONE) == v["upper body"].endswith("dress")
    assert v["activity"] == NONE or v["pose"] == ANY
    for attribute, unfit in AT_WORK.get(v["occupation"], {}).items():
        assert not v[attribute].endswith(unfit)
    assert not {NONE, ANY} & set(record.required.values())


@pytest.mark.parametrize(
    "change, words",
    [
        ({"hair style": "bald"}, "hair style 'bald' and hair color"),
        ({"gender": "woman", "facial details": "full beard"}, "gender 'woman' and facial details"),
        ({"occupation": "builder", "shoes": "red sneakers"}, "occupation 'builder' and shoes"),
        ({"age": "about 20 years old", "facial details": "full beard"}, "age"),
        ({"emotion": "sad", "facial expression": "laughing"}, "emotion 'sad'"),
    ],
)
def test_contradictions_are_named(change, words):
    record = next(
        r for r in RECORDS if r.values["gender"] == "man" and r.values["hair color"] != NONE
    )
    assert not contradictions(record.values)
    assert any(words in text for text in contradictions(record.values | change))


def test_gender_rules_for_clothes_are_an_option():
    def unusual(records):
        men = [r for r in records if r.values["gender"] == "man"]
        return sum(r.values["upper body"].endswith(("dress", "tank top")) for r in men)

    assert unusual(RECORDS) > 30
    with_rules = balanced_records(150, gender_clothes=True)
    assert unusual(with_rules) == 0
    assert {r.values["gender"] for r in with_rules if "dress" in r.values["upper body"]} == {
        "woman"
    }


def test_matrix_of_allowed_pairs_says_what_the_list_of_rules_says():
    """Slow reference: random rows of levels, rule by rule in Python."""
    allowed, rng = allowed_pairs(), np.random.default_rng(0)
    rules = conflicts()
    good = 0
    targets = make_targets()
    for _ in range(400):
        numbers = independent_draw(targets, rng)
        levels = {
            f.name: f.levels[n - f.start] for f, n in zip(FACTORS.values(), numbers, strict=True)
        }
        broken = any(levels[a] in x and levels[b] in y for a, x, b, y in rules)
        if not broken:
            good += 1
            assert allowed[np.ix_(numbers, numbers)].all()
        elif allowed[np.ix_(numbers, numbers)].all():
            pytest.fail(f"a broken rule is allowed: {levels}")
    assert good or allowed.any()


def test_consequences_of_rules_are_found():
    """A dress has no trousers below it, so there is no colour of them."""
    dress, red = FACTORS["upper body"].number("dress"), FACTORS["lower body" + COLOR].number("red")
    assert not allowed_pairs()[dress, red]
    assert not any({a, b} == {"upper body", "lower body" + COLOR} for a, _, b, _ in conflicts())


# --- levels ---


def test_levels_and_values_are_inverse():
    for record in RECORDS[:60]:
        assert values_of(levels_of(record.values)) == record.values
    assert sum(len(f.levels) for f in FACTORS.values()) == NUM_LEVELS
    assert all(abs(f.shares.sum() - 1) < 1e-9 for f in FACTORS.values())


# --- balance ---


def test_shares_are_those_of_the_vocabulary():
    """Not against our own targets: counted from the records' words."""
    for name, word, share in (
        ("hat", NONE, 0.7),
        ("jewelry", NONE, 0.5),
        ("glasses", NONE, 0.6),
        ("occupation", ANY, 0.5),
        ("ethnicity", ANY, 0.1),
        ("activity", NONE, 0.5),
    ):
        found = np.mean([r.values[name] == word for r in RECORDS])
        assert abs(found - share) < 0.02, (name, found)
    for name in ("age", "gender", "body shape", "art style", "hair style"):
        counts = Counter(r.values[name] for r in RECORDS)
        even = len(RECORDS) / len(ATTRIBUTES[name].values)
        assert all(abs(counts[v] - even) <= 5 for v in ATTRIBUTES[name].values), counts
    beards = Counter(r.values["facial details"] for r in RECORDS)
    assert all(abs(beards[b] - 0.1 * len(RECORDS)) <= 5 for b in BEARDS), "only men can have them"


def test_every_prefix_is_balanced():
    for count in (20, 64, 150):
        counts = Counter(r.values["gender"] for r in RECORDS[:count])
        assert abs(counts["woman"] - counts["man"]) <= 4
        ages = Counter(r.values["age"] for r in RECORDS[:count])
        assert max(ages.values()) - min(ages.get(a, 0) for a in ATTRIBUTES["age"].values) <= 4


def test_ours_beats_random_draws_on_both_measures():
    draws = [sample_record(i, 3) for i in range(len(RECORDS))]
    ours, random = measure_balance(RECORDS), measure_balance(draws)
    assert ours.largest_deviation[1] < 0.5 * random.largest_deviation[1]
    assert ours.largest_v[1] < 0.9 * random.largest_v[1]
    assert ours.mean_v < 0.75 * random.mean_v
    assert ours.contradictory == random.contradictory == 0


def test_dependence_by_another_measure():
    """Chi-square tests of words that no rule ties together find nothing; in random draws as well
    they find little, so the statistic itself must be clearly below its expectation."""
    table = Counter((r.values["gender"], r.values["age"]) for r in RECORDS)
    ages = ATTRIBUTES["age"].values
    counts = np.array([[table[g, a] for a in ages] for g in ("woman", "man")])
    assert chi2_contingency(counts).statistic < 3  # 6 on average for independent draws
    tops = [split_color("upper body", r.values["upper body"]) for r in RECORDS]
    assert len(set(tops)) > 180, "208 combinations of colour and garment; 178 by chance"


def test_a_sequence_does_not_depend_on_its_length_and_repeats():
    assert balanced_records(40, seed=3) == RECORDS[:40]
    assert balanced_records(40, seed=4) != RECORDS[:40]


def test_topping_up_gives_what_the_longer_sequence_has():
    assert balanced_records(30, seed=3, existing=RECORDS[:70]) == RECORDS[70:100]


def test_topping_up_evens_out_a_one_sided_set():
    old = balanced_records(20, fixed={"age": "over 70 years old", "hat": "beanie"})
    more = balanced_records(120, seed=1, existing=old)
    assert [r.index for r in more] == list(range(20, 140))
    ages = Counter(r.values["age"] for r in old + more)
    assert max(ages.values()) - min(ages.values()) <= 4
    beanies = sum("beanie" in r.values["hat"] for r in old + more)
    assert beanies <= 25  # 15 % of 140 are 21


def test_an_empty_set_and_a_negative_one():
    assert balanced_records(0) == []
    with pytest.raises(InputError, match="count"):
        balanced_records(-1)
    with pytest.raises(InputError, match="index"):
        sample_record(-1)
    with pytest.raises(InputError, match="no records"):
        measure_balance([])


# --- fixed and excluded ---


@pytest.mark.parametrize(
    "texts, holds",
    [
        (["gender=woman"], lambda v: v["gender"] == "woman" and v["facial details"] not in BEARDS),
        (["hat=none"], lambda v: v["hat"] == NONE),
        (["hat!=none"], lambda v: v["hat"] != NONE),
        (["upper body=green hoodie"], lambda v: v["upper body"] == "green hoodie"),
        (["upper body=hoodie"], lambda v: v["upper body"].endswith("hoodie")),
        (["upper body=green"], lambda v: v["upper body"].split()[0] == "green"),
        (["upper body!=dress"], lambda v: v["lower body"] != NONE),
        (["hair color=grey|white"], lambda v: v["hair color"] in ("grey", "white")),
        (["natural!=none"], lambda v: v["natural"] in PLACES["natural"]),
        (["indoor=none"], lambda v: v["indoor"] == NONE),
        (["place=park"], lambda v: v["outdoor"] == "park"),
        (["occupation=builder", "upper body!=hoodie"], lambda v: v["shoes"].endswith("boots")),
        (["activity=running"], lambda v: v["pose"] == ANY and v["occupation"] != "chef"),
    ],
)
def test_fixed_and_excluded_values_hold_in_every_record(texts, holds):
    fixed, excluded = parse_selection(texts)
    records = balanced_records(30, fixed=fixed, excluded=excluded)
    assert all(holds(r.values) for r in records)
    assert all(not contradictions(r.values) for r in records)
    ages = Counter(r.values["age"] for r in records)
    assert max(ages.values()) - min(ages.get(a, 0) for a in ATTRIBUTES["age"].values) <= 3
    assert holds(sample_record(5, fixed=fixed, excluded=excluded).values)


def test_every_value_can_be_fixed():
    for name, factor in FACTORS.items():
        for level in factor.levels[::3]:
            (record,) = balanced_records(1, fixed={name: level})
            assert levels_of(record.values)[name] == level
            if name != PLACE and not name.endswith(COLOR):
                assert not contradictions(record.values)


@pytest.mark.parametrize(
    "texts",
    [
        ["hair style=bald", "hair color=red"],
        ["hair style=bald", "hair color=ginger"],
        ["gender=woman", "facial details=full beard"],
        ["hat=none", "hat color=red"],
        ["gender=woman|man", "gender!=woman", "gender!=man"],
        ["occupation=firefighter", "shoes=sneakers"],
        ["mood=fine"],
        ["hat=crown"],
        ["hat"],
        ["hat="],
        ["upper body!=green hoodie"],
    ],
)
def test_impossible_or_unknown_choices_are_one_error(texts):
    with pytest.raises(InputError):
        fixed, excluded = parse_selection(texts)
        balanced_records(1, fixed=fixed, excluded=excluded)


def test_selection_is_read_as_it_is_written():
    fixed, excluded = parse_selection(["Gender=woman", "hat!=beanie", "hat!=none"])
    assert fixed == {"gender": ["woman"]} and excluded == {"hat": ["beanie", "none"]}
    assert choices_of(fixed, excluded)["hat"] == ("baseball cap",)
    assert resolve("upper body", "light grey long-sleeved shirt") == {
        "upper body": {"long-sleeved shirt"},
        "upper body" + COLOR: {"light grey"},
    }


# --- measures ---


def test_cramers_v_is_scipys_where_everything_is_allowed():
    table = np.random.default_rng(0).integers(1, 30, (4, 6)).astype(float)
    assert cramers_v(table) == pytest.approx(association(table.astype(int), method="cramer"))
    assert cramers_v(np.diag([5.0, 7.0, 9.0])) == pytest.approx(1)
    assert cramers_v(np.outer([2.0, 4.0], [3.0, 6.0, 9.0])) == pytest.approx(0, abs=1e-7)
    assert cramers_v(np.array([[3.0, 4.0]])) == 0


def test_a_rule_is_no_dependence():
    """a_i b_j outside a forbidden cell: V is 0 there, and large if the rule is not known."""
    allowed = np.ones((3, 3), bool)
    allowed[0, 0] = False
    table = np.outer([10.0, 20.0, 30.0], [1.0, 2.0, 3.0]) * allowed
    assert cramers_v(table, allowed) < 1e-4 < 0.1 < cramers_v(table)
    table[1] = [60, 0, 0]
    assert cramers_v(table, allowed) > 0.3


def test_quasi_independent_table_has_the_sums_and_the_zeros():
    allowed = np.random.default_rng(1).random((5, 6)) > 0.2
    allowed[np.arange(5), np.arange(5)] = True
    seed = np.outer(np.arange(1, 6), np.arange(1, 7)) * allowed
    rows, columns = seed.sum(1) / seed.sum(), seed.sum(0) / seed.sum()
    table = quasi_independent(rows, columns, allowed)
    assert np.allclose(table, seed / seed.sum(), atol=1e-6)  # it is of the form a_i b_j itself


def test_targets_add_up():
    for choices in ({}, {"gender": ("woman",)}, {"upper body": ("dress",)}):
        targets = make_targets(choices)
        for factor in FACTORS.values():
            assert targets.single[factor.span].sum() == pytest.approx(1)
        for a, b in pairs_of_factors():
            block = targets.pair[a.span, b.span]
            assert block.sum() == pytest.approx(1, abs=1e-3)
            assert not block[~targets.allowed[a.span, b.span]].any()
            assert np.abs(block.sum(1) - targets.single[a.span]).max() < 0.02


def test_tally_counts_what_counter_counts():
    tally = Tally.of(RECORDS[:50])
    pair = Counter((r.values["gender"], r.values["body shape"]) for r in RECORDS[:50])
    i, j = FACTORS["gender"].number("man"), FACTORS["body shape"].number("slim")
    assert tally.pair[i, j] == pair["man", "slim"] and tally.count == 50
    odd = AttributeRecord(0, 0, RECORDS[0].values | {"hat": ANY})
    assert Tally.of([odd]).single[FACTORS["hat"].span].sum() == 0
    assert shares(RECORDS[:50])["gender"]["man"] == np.mean(
        [r.values["gender"] == "man" for r in RECORDS[:50]]
    )
