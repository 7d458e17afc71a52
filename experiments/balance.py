"""Balance of 500 attribute records: our sampler, independent draws, and naive rejection.

    python -m experiments.balance

All three aim at the same shares. *Independent draws* take every factor by itself; what a rule
forces (no hair colour on the bald) is filled in, all other contradictions stay. *Naive rejection*
draws such records until one obeys every rule. Takes a few seconds.
"""

import numpy as np

from experiments.document import DATASET_PAGE, Out, TableOnly, markdown_table, number, publish
from toolkit.dataset.balance import balanced_records, record_values
from toolkit.dataset.balance_measures import BalanceReport, measure_balance
from toolkit.dataset.draws import independent_draw
from toolkit.dataset.factors import FACTORS, FORCED
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.rules import contradictions
from toolkit.dataset.targets import Targets, make_targets
from toolkit.run.progress import Progress
from tools.command import run

COUNT, SEEDS = 500, (0, 1, 2)
NAMES = {"ours": "our sampler", "independent": "independent draws", "rejection": "naive rejection"}
SHOWN = 6  # pairs in the table of those that depend most on each other in our own set


def draw_independent(targets: Targets, rng: np.random.Generator, index: int) -> AttributeRecord:
    """Every factor by itself; only what a rule forces is filled in."""
    numbers = independent_draw(targets, rng)
    places = {name: place for place, name in enumerate(FACTORS)}
    for rule in FORCED:
        by, factor = FACTORS[rule.by], FACTORS[rule.factor]
        is_forced = by.levels[numbers[places[rule.by]] - by.start] in rule.levels
        # the targets count the forced people too; who is not forced draws from the listed shares
        numbers[places[rule.factor]] = factor.start + rng.choice(
            len(factor.levels), p=factor.shares
        )
        if is_forced:
            numbers[places[rule.factor]] = factor.number(rule.level)
    return AttributeRecord(index, 0, record_values(numbers))


def draw_rejection(
    targets: Targets, rng: np.random.Generator, index: int
) -> tuple[AttributeRecord, int]:
    """A record without contradictions, and how many were drawn for it."""
    tries = 1
    while contradictions((record := draw_independent(targets, rng, index)).values):
        tries += 1
    return record, tries


def sets_of(seed: int) -> tuple[dict[str, list[AttributeRecord]], float]:
    """The three sets of one seed, and the draws per record of naive rejection."""
    targets, rng = make_targets(), np.random.default_rng([seed, 5])
    rejection = [draw_rejection(targets, rng, index) for index in range(COUNT)]
    sets = {
        "ours": balanced_records(COUNT, seed),
        "independent": [draw_independent(targets, rng, index) for index in range(COUNT)],
        "rejection": [record for record, _ in rejection],
    }
    return sets, float(np.mean([tries for _, tries in rejection]))


def measure() -> dict:
    """Summary of every set; all pairs for the first seed."""
    rows: dict[str, list[dict]] = {name: [] for name in NAMES}
    pairs: dict[str, dict[str, float]] = {}
    draws = []
    with Progress("balance", len(SEEDS)) as advance:
        for seed in SEEDS:
            sets, draws_per_record = sets_of(seed)
            draws.append(draws_per_record)
            for name, records in sets.items():
                report = measure_balance(records)
                rows[name].append(summary(report))
                if seed == SEEDS[0]:
                    for (a, b), value in report.cramers_v.items():
                        pairs.setdefault(f"{a} / {b}", {})[name] = value
            advance()
    return {
        "count": COUNT,
        "seeds": list(SEEDS),
        "sets": rows,
        "draws_per_record": float(np.mean(draws)),
        "pairs": pairs,
    }


def summary(report: BalanceReport) -> dict:
    """The numbers of one set that the table shows."""
    (factor, deviation), (pair, v) = report.largest_deviation, report.largest_v
    return {
        "largest_deviation": deviation,
        "of": factor,
        "mean_deviation": float(np.mean([*report.deviations.values()])),
        "largest_v": v,
        "between": list(pair),
        "mean_v": report.mean_v,
        "contradictory": report.contradictory,
    }


def tables(numbers: dict) -> dict[str, str]:
    """One row per sampler, the worst of all seeds; and the most dependent pairs."""
    heads = [
        f"{numbers['count']} records, worst of {len(numbers['seeds'])} seeds",
        "largest deviation of a share, %",
        "largest Cramer's V",
        "mean Cramer's V",
        "contradictory, %",
        "draws per record",
    ]
    draws = {"ours": 1.0, "independent": 1.0, "rejection": numbers["draws_per_record"]}
    rows = []
    for name, words in NAMES.items():
        sets = numbers["sets"][name]
        worst = {key: max(s[key] for s in sets) for key in sets[0] if key not in ("of", "between")}
        rows.append(
            [
                words,
                number(100 * worst["largest_deviation"], 1),
                number(worst["largest_v"], 3),
                number(worst["mean_v"], 3),
                number(100 * worst["contradictory"], 0),
                number(draws[name], 0),
            ]
        )
    pairs = sorted(numbers["pairs"].items(), key=lambda item: -item[1]["ours"])[:SHOWN]
    pair_rows = [[pair, *(number(v[name], 3) for name in NAMES)] for pair, v in pairs]
    pair_heads = [f"Cramer's V, first seed; the {SHOWN} largest of our sampler", *NAMES.values()]
    return {"": markdown_table(heads, rows), "pairs": markdown_table(pair_heads, pair_rows)}


def main(table_only: TableOnly = False, out: Out = None) -> None:
    """Measure, and write the tables of docs/dataset.md."""
    publish("balance", measure, tables, table_only=table_only, out=out, page=DATASET_PAGE)


if __name__ == "__main__":
    raise SystemExit(run(main))
