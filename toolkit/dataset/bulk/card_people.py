"""Sections of the data card that are about people: quality, balance, shares of every value."""

from collections import Counter

from toolkit.dataset.balance_measures import measure_balance
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.markdown import table
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.selection import choices_of, parse_selection
from toolkit.dataset.targets import make_targets
from toolkit.dataset.vocabulary import ATTRIBUTES, GROUPS

LARGEST_PAIRS = 10


def metrics(rows: list[dict]) -> str:
    """Least, median and largest of each metric."""
    lines = []
    for name in [n for n in rows[0] if n.startswith("metrics_")]:
        values = sorted(r[name] for r in rows if r[name] is not None)
        if values:
            picks = [values[round(share * (len(values) - 1))] for share in (0, 0.05, 0.5, 0.95, 1)]
            lines.append([name.removeprefix("metrics_"), *(f"{value:.4g}" for value in picks)])
    heads = ["", "least", "5 %", "median", "95 %", "largest"]
    return "## Quality, in the photo's own view\n" + table(heads, lines)


def records_of(rows: list[dict]) -> list[AttributeRecord]:
    """Attribute records of the rows of an index."""
    column = {name: f"attributes_{name}".replace(" ", "_") for name in ATTRIBUTES}
    return [
        AttributeRecord(r["index"], r["seed"], {name: r[c] for name, c in column.items()})
        for r in rows
    ]


def balance(manifest: Manifest, rows: list[dict]) -> str:
    """Deviations from the targets, and the pairs that depend most on each other."""
    fixed, excluded = parse_selection(manifest.settings.get("selection", ()))
    report = measure_balance(records_of(rows), make_targets(choices_of(fixed, excluded)))
    pairs = sorted(report.cramers_v.items(), key=lambda item: -item[1])[:LARGEST_PAIRS]
    factor, deviation = report.largest_deviation
    text = (
        f"Largest deviation of a share from its target: {100 * deviation:.1f} % ({factor}). "
        f"Mean Cramer's V of every two attributes: {report.mean_v:.3f}. The largest:\n\n"
    )
    lines = [[" / ".join(pair), f"{v:.3f}"] for pair, v in pairs]
    return "## Balance\n" + text + table(["pair", "Cramer's V"], lines)


def marginals(rows: list[dict]) -> str:
    """Share of every value of every attribute."""
    parts = ["## Shares of every value\n"]
    for group, names in GROUPS.items():
        parts.append(f"### {group}\n")
        lines = []
        for name in names:
            counts = Counter(r[f"attributes_{name}".replace(" ", "_")] for r in rows)
            shares = ", ".join(f"{v} {100 * n / len(rows):.0f} %" for v, n in counts.most_common())
            lines.append([name, shares])
        parts.append(table(["attribute", "shares"], lines))
    return "\n".join(parts)
