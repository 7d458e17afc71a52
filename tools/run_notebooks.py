"""Execute the notebooks with papermill; with --write, store their outputs in the committed files.

    python tools/run_notebooks.py --write                                    # make notebooks
    python tools/run_notebooks.py --profile notebooks/profiles/fast.yaml     # what the tests do

The percent script in notebooks/py is the source; the .ipynb is synced to it first.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[1]
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


def execute(name: str, *, parameters: dict, folder: Path, timeout_s: int) -> Path:
    """Run one notebook in its own folder; returns the executed copy."""
    source = synced(name, folder)
    check_names(source, parameters)
    target = folder / f"{name}.executed.ipynb"
    papermill.execute_notebook(str(source), str(target), parameters=parameters, cwd=str(NOTEBOOKS),
                               execution_timeout=timeout_s, progress_bar=False, log_output=False)
    counts = [c.execution_count for c in nbformat.read(target, as_version=4).cells
              if c.cell_type == "code"]
    if not counts or None in counts:
        raise SystemExit(f"{name}: a code cell did not run")
    return target


def store(executed: Path, name: str) -> None:
    """Put an executed copy into the repository, without papermill's times and paths."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        cell.update({"outputs": [slim(o) for o in cell.outputs if not is_greeting(o)]}
                    if cell.cell_type == "code" else {})
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
    parser.add_argument("--timeout", type=int, default=600, help="seconds a cell may take")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; exit code 1 if a notebook fails."""
    args = parse(argv)
    parameters = read_profile(args.profile)
    if args.write and parameters:
        raise SystemExit("--write stores the notebook's own parameters only, not a profile's")
    if args.require_gpu:
        import torch
        if not torch.cuda.is_available():
            raise SystemExit("no CUDA device; this lane does not pass without one")
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars would be stored as text
    names = args.names or sorted(p.stem for p in (NOTEBOOKS / "py").glob("*.py"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            try:
                executed = execute(name, parameters=parameters, folder=Path(folder),
                                   timeout_s=args.timeout)
            except PapermillExecutionError as error:
                failed += 1
                print(f"{name}: FAILED in cell {error.exec_count}\n{error}", file=sys.stderr)
                continue
            if args.write:
                store(executed, name)
            print(f"{name}: ran{' and stored' if args.write else ''}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
