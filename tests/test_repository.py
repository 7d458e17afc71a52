"""The repository itself: one list of packages, one direction of imports, small files."""

import ast
import graphlib
import hashlib
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "toolkit").rglob("*.py"))
FOLDERS = ("tools", "experiments", "tests")
SOURCES = sorted([*MODULES, *(p for name in FOLDERS for p in (ROOT / name).rglob("*.py"))])
MB = 2**20

# Who may import whom, beyond "no circles": an earlier stage never knows a later one.
LATER = {
    "body": {"photo", "people", "coarse", "prior", "refine", "profiles", "pipeline"},
    "render": {"photo", "people", "coarse", "prior", "refine", "profiles", "pipeline"},
    "photo": {"people", "coarse", "prior", "refine", "profiles", "pipeline"},
    "people": {"photo", "coarse", "prior", "refine", "profiles", "pipeline"},
    "coarse": {"people", "prior", "refine", "profiles", "pipeline"},
    "prior": {"people", "coarse", "refine", "profiles", "pipeline"},
    "refine": {"people", "profiles", "pipeline"},
    "profiles": {"people", "pipeline"},
    "pipeline": {"people"},
}
LAST = {"evaluate", "dataset", "cli", "__main__"}  # nothing in front of them imports them


def tracked() -> list[Path]:
    """Files git knows (in a checkout), or every file outside of ignored folders (in an archive)."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 0 and found.stdout:
        return [p for n in found.stdout.split("\0") if n and (p := ROOT / n).is_file()]
    skip = {".venv", "runs", ".git", "toolkit.egg-info"}
    return [p for p in ROOT.rglob("*") if p.is_file() and not skip & set(p.parts)]


def names(requirements) -> set[str]:
    return {r.replace(" ", "").lower() for r in requirements}


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def environment_pip() -> list[str]:
    lines = (ROOT / "environment.yml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "- pip:")
    return [line.split("#")[0].strip()[2:].strip() for line in lines[start + 1 :] if line.strip()]


def test_environment_installs_what_pyproject_says():
    project = pyproject()
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert names(environment_pip()) - {"-e."} == names(wanted)


def test_environment_gives_a_reason_per_package():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    assert not [line for line in lines if re.search(r"- [\w-]+[=<>]", line) and "#" not in line]


def test_torch_is_pinned_and_torchvision_absent():
    project = pyproject()
    every = sum(project["optional-dependencies"].values(), project["dependencies"])
    assert "torch==2.13.0" in every
    assert not [r for r in every + environment_pip() if "torchvision" in r or "torchaudio" in r]


def test_import_of_the_package_loads_nothing_heavy():
    code = "import sys, toolkit; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "numba", "matplotlib", "diffusers", "transformers", "scipy", "typer"}
    assert not heavy & set(loaded.stdout.split())


def imports_of(path: Path) -> set[str]:
    """Dotted names of the toolkit's own modules that a file imports, wherever in the file."""
    modules = {module_name(p) for p in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit"):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & modules) - {"toolkit"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_itself_by_a_detour():
    """Circles are looked for file by file; an import inside a function counts as well."""
    edges = {module_name(p): imports_of(p) for p in MODULES if p.name != "__init__.py"}
    order = graphlib.TopologicalSorter(edges)
    try:
        order.prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    part = (*path.relative_to(ROOT / "toolkit").with_suffix("").parts, "")[0]
    imported = {name.split(".")[1] for name in imports_of(path) if "." in name}
    assert not imported & LATER.get(part, set())
    assert part in LAST or not imported & LAST


FACES = [p for p in MODULES if p.name == "__init__.py" and p.parent.name != "toolkit"]


@pytest.mark.parametrize("path", FACES, ids=lambda p: str(p.parent.relative_to(ROOT)))
def test_a_package_has_a_face_that_loads(path):
    """Its public names load on first use; none of them is also the name of a module inside."""
    package = importlib.import_module(module_name(path))
    assert package.__doc__ and package.__all__
    assert all(getattr(package, name) is not None for name in package.__all__)
    inside = {p.stem for p in path.parent.glob("*.py")} | {p.name for p in path.parent.iterdir()}
    assert not inside & set(package.__all__), "a module hides the function of the same name"


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function) -> int:
    """Lines of the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250 or path.is_relative_to(ROOT / "tests")
    lengths = {f.name: body_lines(f) for f in functions(ast.parse(text))}
    assert not {name: lines for name, lines in lengths.items() if lines > 50}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_what_they_are_and_keep_annotations(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "no module docstring"
    assert "from __future__ import annotations" not in text  # it hides shapes from jaxtyping


def test_makefile_has_ten_targets_at_most_and_help_is_the_default():
    lines = (ROOT / "Makefile").read_text().splitlines()
    targets = [m for line in lines if (m := re.match(r"([a-z][a-z-]*):.*?(##.*)?$", line))]
    assert len(targets) <= 10
    assert targets[0][1] == "help" and ".DEFAULT_GOAL := help" in lines
    assert all(target[2] for target in targets), "a target without a line for `make help`"
    assert {"setup", "demo", "test", "lint", "clean"} <= {target[1] for target in targets}


def test_no_file_is_large():
    sizes = {p.relative_to(ROOT).as_posix(): p.stat().st_size for p in tracked()}
    assert not {n: s for n, s in sizes.items() if s > 20 * MB}
    weights = sum(s for n, s in sizes.items() if n.startswith("data/models/"))
    assert weights < 60 * MB


def artefacts() -> list[Path]:
    data = ROOT / "data"
    return [p for p in tracked() if p.is_relative_to(data) and p.suffix not in (".md", "")]


def test_every_artefact_has_a_card():
    """A card is a .md in the file's folder, or in one above it, that names the file."""
    missing = []
    for path in artefacts():
        above = [path.parent, *(p for p in path.parents if p.is_relative_to(ROOT / "data"))]
        cards = [card.read_text() for folder in above for card in folder.glob("*.md")]
        if not any(path.name in card for card in cards):
            missing.append(path.name)
    assert not missing


def test_every_model_file_has_its_licence_and_checksum():
    rows = (ROOT / "THIRD_PARTY.md").read_text().splitlines()
    wrong = []
    for path in artefacts():
        if path.parent.name != "models":
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not any(path.name in row and digest in row for row in rows):
            wrong.append(f"{path.name} {digest}")
    assert not wrong, "run: python -m tools.upkeep.third_party"


def test_third_party_names_only_files_that_are_here():
    named = re.findall(r"^\| `(data/[^`]+)` \|", (ROOT / "THIRD_PARTY.md").read_text(), re.M)
    assert named and not [name for name in named if not (ROOT / name).is_file()]


def test_no_machine_path_is_committed():
    """Absolute paths of one person's machine break everybody else's."""
    pattern = re.compile(r"(?<![\w.])/(?:work|home|Users|root|mnt)/[\w.-]+")
    found = {}
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".ipynb", ".cff", ""}:
            hits = pattern.findall(path.read_text(errors="ignore"))
            if hits:
                found[path.relative_to(ROOT).as_posix()] = hits[:3]
    assert not found


def test_tree_in_readme_names_every_module():
    text = (ROOT / "README.md").read_text()
    packages = {p.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py") for p in MODULES}
    assert not [name for name in packages if name not in text and not name.startswith("__")]
