"""Execute the notebooks with papermill; with --write, store their outputs in the committed files.

    python -m tools.upkeep.notebooks --write                                    # make notebooks
    python -m tools.upkeep.notebooks --profile notebooks/profiles/fast.yaml     # what the tests do
    python -m tools.upkeep.notebooks --profile notebooks/profiles/full.yaml --require-gpu \
        --keep runs/notebooks-gpu --timeout 7200                             # make notebooks-gpu

The exit code is 0 only if every notebook asked for ran to its end, all of its code cells, and under
--require-gpu on a GPU and for at least a second.

The percent script in notebooks/py is the source; the .ipynb is synced to it first.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
NOTEBOOKS = ROOT / "notebooks"


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


def code_cells(path: Path) -> list:
    """The notebook's own code cells, without the one in which papermill sets the parameters."""
    return [
        c
        for c in nbformat.read(path, as_version=4).cells
        if c.cell_type == "code" and "injected-parameters" not in c.metadata.get("tags", [])
    ]


def seconds_at_work(executed: Path) -> float:
    """Time that the code cells took, without the start of the kernel."""
    records = [cell.metadata.get("papermill", {}) for cell in code_cells(executed)]
    return float(sum(record.get("duration") or 0 for record in records))


def store(executed: Path, name: str) -> None:
    """Put an executed copy into the repository, without papermill's times and paths."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        cell.update(
            {"outputs": [slim(o) for o in cell.outputs if not is_greeting(o)]}
            if cell.cell_type == "code"
            else {}
        )
    if str(ROOT) in nbformat.writes(notebook):
        raise SystemExit(f"{name}: an output holds this machine's path; print relative paths")
    nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")


def is_greeting(output) -> bool:
    """What a native library says on stderr when it is loaded; not the notebook's own words."""
    return output.output_type == "stream" and output.text.startswith("INFO: Created TensorFlow")


def slim(output):
    """IPython stores a photo as PNG and as JPEG; the JPEG is enough."""
    if {"image/png", "image/jpeg"} <= set(output.get("data", {})):
        del output["data"]["image/png"]
    return output


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="e.g. 00_quickstart; all if none is given")
    parser.add_argument("--profile", type=Path, help="yaml file with parameters")
    parser.add_argument("--write", action="store_true", help="store the outputs in notebooks/")
    parser.add_argument("--require-gpu", action="store_true", help="fail if there is no CUDA")
    parser.add_argument("--keep", type=Path, help="folder for executed notebooks and summary.json")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a cell may take")
    return parser.parse_args(argv)


def require_gpu() -> str:
    """Name of the GPU."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("no CUDA: torch sees no GPU, and this lane does not pass without one")
    if os.environ.get("TOOLKIT_DEVICE", "cuda") == "cpu":
        raise SystemExit("no CUDA: TOOLKIT_DEVICE=cpu keeps the notebooks off the GPU; unset it")
    return torch.cuda.get_device_name()


def stand_ins() -> list[str]:
    """Weights of which only tiny random ones are here: what the notebooks draw is then nonsense."""
    from toolkit.run.doctor.files import examine_weights

    return [row["name"] for row in examine_weights() if row["stand_in"]]


def run_all(names: list[str], parameters: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Run notebook after notebook; returns of each its status and seconds."""
    results = {}
    for name in names:
        status, seconds = "ran", 0.0
        try:
            executed = execute(
                name, parameters=parameters, folder=folder, keep=args.keep, timeout_s=args.timeout
            )
            seconds = seconds_at_work(executed)
            if args.require_gpu and seconds < 1:
                status = f"FAILED: its cells took {seconds:.2f} s, so it did not do its work"
            elif args.write:
                store(executed, name)
        except PapermillExecutionError as error:
            status = f"FAILED in cell {error.exec_count}"
            print(error, file=sys.stderr)
        results[name] = {"status": status, "seconds": round(seconds, 1)}
        print(
            f"{name}: {status}{' and stored' if args.write and status == 'ran' else ''}, "
            f"{seconds:.0f} s",
            file=sys.stderr if status != "ran" else sys.stdout,
        )
    return results


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; exit code 1 if a notebook fails or none ran."""
    args = parse(argv)
    parameters = read_profile(args.profile)
    if args.write and parameters:
        raise SystemExit("--write stores the notebook's own parameters only, not a profile's")
    gpu = require_gpu() if args.require_gpu else None
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars would be stored as text
    names = args.names or sorted(p.stem for p in (NOTEBOOKS / "py").glob("*.py"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:  # all of them, before the first hour is spent
            check_names(synced(name, folder), parameters)
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
        results = run_all(names, parameters, args, folder)
    if args.keep:
        summary = {
            "gpu": gpu,
            "parameters": parameters,
            "notebooks": results,
            "stand_ins": stand_ins(),
        }
        (args.keep / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    if not results:
        print("no notebook ran", file=sys.stderr)
    return int(not results or any(r["status"] != "ran" for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
