"""Execute the notebooks with papermill; with --write, store their outputs in the committed files.

    python -m tools.upkeep.notebooks --write                                    # make notebooks
    python -m tools.upkeep.notebooks --profile notebooks/profiles/fast.yaml     # what the tests do
    python -m tools.upkeep.notebooks --profile notebooks/profiles/full.yaml --require-gpu \\
        --keep runs/notebooks-gpu --timeout 7200                             # make notebooks-gpu

The exit code is 0 only if every chosen notebook ran to its end, with all of its code cells. With
profile=full, the notebooks that declare no full variant are listed and not run, and the others must
say which models they ran; under --require-gpu these are the published ones, on a GPU and for at
least a second.

The percent script in notebooks/py is the source; the .ipynb is written from it first.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jupytext
import nbformat
import papermill
import typer
import yaml
from papermill.exceptions import PapermillExecutionError

from toolkit.profiles.evidence import FullRun
from tools.command import run_with
from tools.upkeep.notebook_outputs import code_cells, printed, read_clean, seconds_at_work
from tools.upkeep.notebook_variants import Variant, declared, objection

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
NOTEBOOKS = ROOT / "notebooks"


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    names: Annotated[
        list[str] | None, typer.Argument(help="e.g. 00_quickstart; all if none is given")
    ] = None
    profile: Annotated[Path | None, typer.Option(help="yaml file with parameters")] = None
    write: Annotated[bool, typer.Option("--write", help="store the outputs in notebooks/")] = False
    skip: Annotated[list[str] | None, typer.Option(help="notebook to leave out; is listed")] = None
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="fail without CUDA, and if stand-ins ran")
    ] = False
    keep: Annotated[
        Path | None, typer.Option(help="folder for executed notebooks and summary.json")
    ] = None
    timeout: Annotated[int, typer.Option(help="seconds a cell may take")] = 600


def read_profile(path: Path | None) -> dict:
    """Parameters of a profile file; none means the notebook's own values."""
    return (yaml.safe_load(path.read_text()) or {}) if path else {}


def check_names(notebook: Path, parameters: dict) -> None:
    """Refuse names the notebook lacks; papermill alone would only warn, and run full size."""
    known = set(papermill.inspect_notebook(str(notebook)))
    if unknown := sorted(set(parameters) - known):
        raise SystemExit(f"{notebook.name}: unknown parameters {unknown}; it has {sorted(known)}")


def synced(name: str, folder: Path) -> Path:
    """The .ipynb of `name` with the cells of its percent script, written into `folder`.

    Cells whose text is unchanged keep their id and outputs, so that diffs stay small.
    """
    script = jupytext.read(NOTEBOOKS / "py" / f"{name}.py")
    script.metadata["kernelspec"] = KERNEL
    old = NOTEBOOKS / f"{name}.ipynb"
    if old.is_file():
        kept = {(c.cell_type, c.source): c for c in nbformat.read(old, as_version=4).cells}
        for cell in script.cells:
            if same := kept.get((cell.cell_type, cell.source)):
                cell.id = same.id
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = same.outputs, same.execution_count
    path = folder / f"{name}.ipynb"
    nbformat.write(script, path)
    return path


def execute(
    name: str, *, parameters: dict, folder: Path, timeout_s: int, keep: Path | None = None
) -> Path:
    """Run one notebook; returns the executed copy, in `keep` or `folder`, also left by a failure.

    What runs is the percent script, written into `folder` as a notebook.
    """
    source = synced(name, folder)
    check_names(source, parameters)
    target = (keep or folder) / f"{name}.executed.ipynb"
    papermill.execute_notebook(
        str(source),
        str(target),
        parameters=parameters,
        cwd=str(NOTEBOOKS),
        execution_timeout=timeout_s,
        progress_bar=False,
        log_output=False,
    )
    cells = code_cells(target)
    if not cells or None in [cell.execution_count for cell in cells]:
        raise SystemExit(f"{name}: a code cell did not run, or there is none")
    return target


def store(executed: Path, name: str) -> None:
    """Put an executed copy into the repository."""
    notebook = read_clean(executed)
    if str(ROOT) in nbformat.writes(notebook):
        raise SystemExit(f"{name}: an output holds this machine's path; print relative paths")
    nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")


def require_gpu() -> str:
    """Name of the GPU."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("no CUDA: torch sees no GPU, and this lane does not pass without one")
    if os.environ.get("TOOLKIT_DEVICE", "cuda") == "cpu":
        raise SystemExit("no CUDA: TOOLKIT_DEVICE=cpu keeps the notebooks off the GPU; unset it")
    return torch.cuda.get_device_name()


def stand_ins() -> list[str]:
    """Weights of which this machine has only tiny random ones, which draw nonsense."""
    from toolkit.run.doctor.files import examine_weights

    return [row["name"] for row in examine_weights() if row["stand_in"]]


def run_all(
    variants: dict[str, Variant | None], parameters: dict, settings: Settings, folder: Path
) -> dict:
    """Run notebook after notebook; returns status, seconds and models of each."""
    results = {}
    for name, variant in variants.items():
        status, seconds, ran = "ran", 0.0, None
        try:
            executed = execute(
                name,
                parameters=parameters,
                folder=folder,
                keep=settings.keep,
                timeout_s=settings.timeout,
            )
            seconds, ran = seconds_at_work(executed), FullRun.read(printed(executed))
            if why := _objection(variant, ran, seconds, settings):
                status = f"FAILED: {why}"
            elif settings.write:
                store(executed, name)
        except PapermillExecutionError as error:
            status = f"FAILED in cell {error.exec_count}"
            print(error, file=sys.stderr)
        results[name] = {"status": status, "seconds": round(seconds, 1)}
        if ran is not None:
            results[name] |= {"models": ran.models, "device": ran.device, "peak_gb": ran.peak_gb}
        print(
            f"{name}: {status}{' and stored' if settings.write and status == 'ran' else ''}, "
            f"{seconds:.0f} s{f', {ran}' if ran else ''}",
            file=sys.stderr if status != "ran" else sys.stdout,
        )
    return results


def _objection(
    variant: Variant | None, ran: FullRun | None, seconds: float, settings: Settings
) -> str:
    """Why an executed notebook does not count; empty if it does."""
    if settings.require_gpu and seconds < 1:
        return f"its cells took {seconds:.2f} s, so it did not do its work"
    return objection(variant, ran, on_gpu=settings.require_gpu) if variant else ""


def main(argv: list[str] | None = None) -> int:
    """Run what the command line says; exit code 1 if a notebook fails or none ran."""
    return run_with(Settings, run_notebooks, argv)


def run_notebooks(settings: Settings) -> int:
    """Check all chosen notebooks, run them, and write the summary."""
    parameters = read_profile(settings.profile)
    if settings.write and parameters:
        raise SystemExit("--write stores the notebook's own parameters only, not a profile's")
    gpu = require_gpu() if settings.require_gpu else None
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars would be stored as text
    skipped, full = settings.skip or [], parameters.get("profile") == "full"
    names = settings.names or sorted(p.stem for p in (NOTEBOOKS / "py").glob("*.py"))
    if unknown := [name for name in skipped if name not in names]:
        raise SystemExit(f"--skip: no notebook {unknown[0]!r}; there are {', '.join(names)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder, variants, without = Path(temporary), {}, {}
        for name in [n for n in names if n not in skipped]:  # all, before the first hour is spent
            source = synced(name, folder)
            check_names(source, parameters)
            variant = declared(source) if full else None
            if variant and not variant.full:
                without[name] = variant.text
            else:
                variants[name] = variant
        if settings.keep:
            settings.keep.mkdir(parents=True, exist_ok=True)
        results = run_all(variants, parameters, settings, folder)
    summary = {
        "gpu": gpu,
        "parameters": parameters,
        "notebooks": results,
        "no_full_variant": without,
        "skipped": skipped,
        "stand_ins": stand_ins(),
    }
    report(summary, settings.keep)
    return int(not results or any(r["status"] != "ran" for r in results.values()))


def report(summary: dict, keep: Path | None) -> None:
    """Write the summary, and say what did not run."""
    if keep:
        (keep / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    for name, why in summary["no_full_variant"].items():
        print(f"{name}: no full variant, {why}")
    for name in summary["skipped"]:
        print(f"{name}: skipped")
    if not summary["notebooks"]:
        print("no notebook ran", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
