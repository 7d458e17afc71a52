"""The doctor's report: what is here, which stages of a profile run with it, and what they lack."""

from pathlib import Path

from toolkit.run.doctor.files import examine_shipped_files, examine_weights
from toolkit.run.doctor.machine import ROOT, examine_machine, examine_packages
from toolkit.run.doctor.requirements import FALLBACK, MISSING, READY, REQUIREMENTS, Requirement

SCHEMA = 1  # of the JSON report; keys may be added, but a renamed one needs a new number


def examine() -> dict:
    """The whole report, ready for JSON: schema, machine, packages, embedded, weights, stages."""
    report = {
        "schema": SCHEMA,
        "machine": examine_machine(),
        "packages": examine_packages(),
        "embedded": examine_shipped_files(),
        "weights": examine_weights(),
    }
    report["stages"] = [judge(requirement, report) for requirement in REQUIREMENTS]
    can_run = {
        profile: all(stage[profile]["status"] != MISSING for stage in report["stages"])
        for profile in ("embedded", "full")
    }
    packages = report["packages"]
    can_run["embedded"] &= not any(p["status"] == MISSING and p["needed"] for p in packages)
    return report | {"can_run": can_run}


def judge(requirement: Requirement, report: dict) -> dict:
    """Whether a stage runs in either profile, and what it lacks.

    Args:
        requirement: of the stage.
        report: with the keys machine, packages, embedded and weights, as `examine` fills them.
    """
    present = {Path(row["name"]).name for row in report["embedded"] if row["status"] != MISSING}
    lacking = [f"data/models/{name}" for name in requirement.embedded if name not in present]
    embedded = {"status": MISSING if lacking else READY, "missing": lacking}
    lacking, weights = _lacking_in_full(requirement, report)
    status = MISSING if lacking else READY
    if lacking and requirement.falls_back and embedded["status"] == READY:
        status = FALLBACK
    full = {"status": status, "missing": lacking, "weights": list(weights)}
    return {"name": requirement.name, "embedded": embedded, "full": full}


def _lacking_in_full(requirement: Requirement, report: dict) -> tuple[list[str], tuple[str, ...]]:
    """What the full profile lacks for a stage, and the set of weights that it would use."""
    module = ROOT.joinpath(*requirement.module.split("."))
    is_here = module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
    lacking = [] if is_here else [f"{requirement.module} in this version"]
    installed = {row["name"] for row in report["packages"] if row["installed"]}
    lacking += [f"package {name}" for name in requirement.packages if name not in installed]
    memory_gb = max((gpu["memory_gb"] for gpu in report["machine"]["gpus"]), default=0)
    if memory_gb < requirement.gpu_gb:
        lacking.append(f"a CUDA GPU with {requirement.gpu_gb:g} GB")
    # Of several sets of weights, the one that lacks least is judged; of equals, the first.
    ready = {row["name"] for row in report["weights"] if row["status"] == READY}
    best = min(requirement.weights, key=lambda names: len(set(names) - ready))
    lacking += [f"weight {name}" for name in best if name not in ready]
    return lacking, best


def exit_code(report: dict, profile: str | None) -> int:
    """0 for a report; 2 if it was asked about a profile that cannot run here."""
    return 2 if profile and not report["can_run"][profile] else 0
