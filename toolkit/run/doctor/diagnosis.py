"""The doctor's report: what is here, which stages of a profile run with it, and what they lack."""

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import InputError
from toolkit.run.doctor.files import examine_shipped_files, examine_weights
from toolkit.run.doctor.gpu import device_index
from toolkit.run.doctor.machine import ROOT, examine_machine, examine_packages
from toolkit.run.doctor.requirements import FALLBACK, MISSING, READY, REQUIREMENTS, Requirement
from toolkit.weights.sets import SETS, pick

if TYPE_CHECKING:
    from toolkit.profiles.memory import Need

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
    """Whether a stage runs in either profile, what it lacks, and how it would run.

    Args:
        requirement: of the stage.
        report: with the keys machine, packages, embedded and weights, as `examine` fills them.
    """
    present = {Path(row["name"]).name for row in report["embedded"] if row["status"] != MISSING}
    lacking = [f"data/models/{name}" for name in requirement.embedded if name not in present]
    embedded = {"status": MISSING if lacking else READY, "missing": lacking}
    full = _judge_full(requirement, report)
    full["status"] = MISSING if full["missing"] else READY
    if full["missing"] and requirement.falls_back and embedded["status"] == READY:
        full["status"] = FALLBACK
    return {"name": requirement.name, "embedded": embedded, "full": full}


def _judge_full(requirement: Requirement, report: dict) -> dict:
    """What the full profile lacks for a stage, which weights it uses, and how it would run."""
    module = ROOT.joinpath(*requirement.module.split("."))
    is_here = module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
    missing = [] if is_here else [f"{requirement.module} in this version"]
    missing += _packages(requirement, report)
    names, notes = (), []
    if requirement.name in SETS:
        try:
            names = pick(requirement.name)  # the same function that the run asks
        except InputError as error:  # a variable of the environment that names nothing
            missing.append(str(error))
    ready = {row["name"] for row in report["weights"] if row["status"] == READY}
    missing += [f"weight {name}" for name in (*names, *requirement.also) if name not in ready]
    if requirement.name == "rasteriser":
        for_gsplat, notes = _kernels()
        missing += for_gsplat
    judged = {"missing": missing, "weights": list(names), "notes": notes, "needs": None}
    need = _need(requirement.name, names) if names or requirement.name == "rasteriser" else None
    if need is not None:
        judged["missing"] += _memory(requirement, need, report["machine"])
        judged["needs"] = {"gpu_gb": need.gpu_gb, "main_gb": need.main_gb, "says": need.says}
        if requirement.on_gpu and not judged["missing"] and report["machine"]["device"] != "cpu":
            notes.append(need.runs(_card(report["machine"])["memory_gb"]))
    return judged


def _packages(requirement: Requirement, report: dict) -> list[str]:
    """Packages that are not here, or in a version that we do not support."""
    rows = {row["name"]: row for row in report["packages"]}
    states = {name: rows[name]["status"] for name in requirement.packages if name in rows}
    missing = [name for name in requirement.packages if states.get(name, MISSING) == MISSING]
    other = [f"{name} ({s})" for name, s in states.items() if s not in (READY, MISSING)]
    return [f"package {name}" for name in [*missing, *other]]


def _need(stage: str, names: tuple[str, ...]) -> "Need | None":
    """Memory of a stage; None for the body, and where torch is missing, which is said elsewhere."""
    try:
        from toolkit.profiles.memory import stage_need
    except ImportError:
        return None
    return stage_need(stage, names)


def _kernels() -> tuple[list[str], list[str]]:
    """What gsplat lacks, and a note on how to get it or how it will run."""
    try:
        from toolkit.render import gsplat_kernels
    except ImportError:
        return [], []
    found = gsplat_kernels.examine()
    return ([], [found.reason]) if found.possible else ([found.reason], [found.fix])


def _card(machine: dict) -> dict | None:
    """The GPU that the full profile would take."""
    index, gpus = device_index(machine["device"]), machine["gpus"]
    return gpus[index] if index < len(gpus) else None


def _memory(requirement: Requirement, need: "Need", machine: dict) -> list[str]:
    """What a stage lacks of GPU and of memory."""
    missing, main_gb = [], machine["memory_gb"] or float("inf")
    if not requirement.on_gpu or machine["device"] == "cpu":
        gpus = 0 if requirement.on_gpu else sum(gpu["memory_gb"] for gpu in machine["gpus"])
        together = gpus + main_gb
    else:
        card, together = _card(machine), main_gb
        if card is None or machine["gpu_problem"]:
            missing.append(f"a CUDA GPU with {need.gpu_gb:.1f} GB")
        elif card["memory_gb"] < need.gpu_gb:
            missing.append(f"{need.gpu_gb:.1f} GB of GPU memory, not {card['memory_gb']:g}")
    if together < need.main_gb:
        where = "main memory" if requirement.on_gpu else "memory, main and GPU"
        missing.append(f"{need.main_gb:.1f} GB of {where}, not {together:.1f}")
    return missing


def exit_code(report: dict, profile: str | None) -> int:
    """0 for a report; 2 if it was asked about a profile that cannot run here."""
    return 2 if profile and not report["can_run"][profile] else 0
