"""The doctor's report as text for a terminal."""

from toolkit.run.doctor.requirements import FALLBACK, READY

ESTIMATES = (
    "GB of memory: weights counted in their files (or by the size of the download), activations\n"
    "measured on tensors without data at full size, 20 % on top; not measured on a GPU."
)


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
    gpus = ", ".join(
        f"{g['name']} {g['memory_gb']:g} GB (compute capability {g['capability']})"
        for g in machine["gpus"]
    )
    build = machine["torch"]
    lines = [
        f"Python {machine['python']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB of "
        f"memory, GPU: {gpus or 'none that torch can use'}",
        f"torch {build['version']} for {f'CUDA {c}' if (c := build['cuda']) else 'CPUs'}, "
        f"NVIDIA driver {machine['driver'] or 'none'}; the full profile runs on "
        f"{machine['device']} (TOOLKIT_DEVICE)",
    ]
    if machine["gpu_problem"]:
        lines.append(f"no GPU for the full profile: {machine['gpu_problem']}")
    if machine["device"] == "cpu":
        lines.append("on a CPU the full profile is for dry runs: real weights take many hours")
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
            lines += [f"    {line}" for line in _how(state)]
        blocks.append("\n".join(lines))
    if profile != "embedded":
        blocks.append(ESTIMATES)
    return "\n\n".join(blocks)


def _how(state: dict) -> list[str]:
    """Which weights a stage takes, what they need and how it would run, a line each."""
    lines = [f"takes {', '.join(state['weights'])}"] if state.get("weights") else []
    needs = state.get("needs")
    if needs and needs["gpu_gb"]:
        main = f"; main memory: {needs['main_gb']:.1f} GB" if needs["main_gb"] else ""
        lines.append(f"GPU: {needs['gpu_gb']:.1f} GB at least ({needs['says']}){main}")
    elif needs:
        lines.append(needs["says"])
    return lines + [note for note in state.get("notes", []) if note]


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
