"""The doctor's report as text for a terminal."""

from toolkit.run.doctor.requirements import FALLBACK, READY


def as_text(report: dict, profile: str | None = None) -> str:
    """Lay the report out for a terminal.

    Args:
        report: as `examine` returns it.
        profile: show the stages of this profile only; None shows both, and every weight.
    """
    parts = [
        _machine(report["machine"]),
        _packages(report["packages"]),
        _shipped(report["embedded"]),
        _stages(report, profile),
    ]
    if profile != "embedded":
        parts += [_weights(report["weights"]), _licences(report["weights"])]
    return "\n\n".join(part for part in parts if part)


def _machine(machine: dict) -> str:
    gpus = ", ".join(f"{g['name']} {g['memory_gb']:g} GB" for g in machine["gpus"])
    lines = [
        f"Python {machine['python']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB of "
        f"memory, GPU: {gpus or 'none that torch can use'}"
    ]
    for key, label in (("weights_dir", "weights (TOOLKIT_WEIGHTS)"), ("hub_cache", "hub cache")):
        place = machine[key]
        remark = "" if place["exists"] else ", does not exist yet"
        lines.append(f"{label}: {place['path']} ({place['free_gb']:g} GB free{remark})")
    return "\n".join(lines)


def _packages(packages: list[dict]) -> str:
    bad = [p for p in packages if p["status"] != READY]
    lines = [
        f"packages: {sum(p['status'] == READY for p in packages)} of {len(packages)} installed"
    ]
    lines += [
        f"  {p['name']} ({'needed' if p['needed'] else 'optional'}): {p['status']}" for p in bad
    ]
    return "\n".join(lines)


def _shipped(files: list[dict]) -> str:
    bad = [f for f in files if f["status"] != READY]
    good = len(files) - len(bad)
    lines = [f"files in data/: {good} of {len(files)} as THIRD_PARTY.md lists them"]
    return "\n".join(lines + [f"  {f['name']}: {f['status']}" for f in bad])


def _stages(report: dict, profile: str | None) -> str:
    blocks = []
    for name in [profile] if profile else ["embedded", "full"]:
        verdict = "can run here" if report["can_run"][name] else "cannot run here"
        lines = [f"profile {name}: {verdict}"]
        for stage in report["stages"]:
            state = stage[name]
            lacking = f": {', '.join(state['missing'])}" if state["missing"] else ""
            status = f"{FALLBACK}, it lacks" if state["status"] == FALLBACK else state["status"]
            lines.append(f"  {stage['name']:<11}{status}{lacking}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _weights(weights: list[dict]) -> str:
    lines = ["weights of the full profile (one alternative per stage is enough)"]
    for w in weights:
        gate = ", gated" if w["gated"] else ""
        lines.append(
            f"  {w['name']:<20}{w['stage']:<9}{w['size']}, {w['licence']}{gate}, "
            f"{w['revision'][:15]}: {w['status']}"
        )
        if w["status"] == READY:
            stand_in = ", a stand-in of tools/upkeep/tiny_weights.py" if w["stand_in"] else ""
            lines.append(f"    in {w['folder']}{stand_in}")
        else:
            lacking = f"    lacks {', '.join(w['missing'][:3])} in {w['folder']}\n"
            lines.append(f"{lacking if w['folder'] else ''}    {w['command']}")
    return "\n".join(lines)


def _licences(weights: list[dict]) -> str:
    """Each note once, after the names of the weights that it is about."""
    names_by_note: dict[str, list[str]] = {}
    for w in weights:
        if w["note"]:
            names_by_note.setdefault(w["note"], []).append(w["name"])
    lines = [f"  {', '.join(names)}: {note}" for note, names in names_by_note.items()]
    return "\n".join(["notes", *lines])
