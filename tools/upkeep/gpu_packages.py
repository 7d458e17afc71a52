"""Pack the Python packages that `gpu_check` needs on a GPU machine without a network.

    python -m tools.upkeep.gpu_packages OUT.tar.xz
    mkdir -p site && tar xf OUT.tar.xz -C site && PYTHONPATH=site python -m tools.upkeep.gpu_check

They are pure Python, so one archive serves every machine. What the other machine has to bring is in
docs/gpu.md. The command says how large archive and checkout are together.
"""

import fnmatch
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

from toolkit.errors import fail
from toolkit.run.files import atomic_path
from tools.command import run

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("diffusers", "importlib_metadata", "gsplat", "plyfile")  # the second one for the first
GLM = "gsplat/cuda/csrc/third_party/glm"  # of which only glm/glm is compiled
LEFT_OUT = tuple(f"{GLM}/{folder}/*" for folder in ("cmake", "doc", "test", "util"))
LIMIT_MIB = 64


def requirements() -> list[str]:
    """The packages as pyproject.toml wants them; by name alone where it does not list them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(line).name: line for line in project["dependencies"]}
    return [wanted.get(name, name) for name in PACKAGES]


def download(folder: Path) -> list[Path]:
    """Wheels from the package index that pip is set to."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), *requirements()]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


def pack(wheels: list[Path], out: Path) -> None:
    """Put the files of all wheels into one archive, without what no import needs.

    Raises:
        InputError: a wheel for one kind of machine only.
    """
    with atomic_path(out) as tmp, tarfile.open(tmp, "w:xz", preset=9) as archive:
        for wheel in wheels:
            if not wheel.name.endswith("-none-any.whl"):
                fail(wheel.name, got="a compiled wheel", wanted="pure Python", fix="Leave it out.")
            with zipfile.ZipFile(wheel) as files, tempfile.TemporaryDirectory() as folder:
                names = [n for n in files.namelist() if not n.endswith("/") and not left_out(n)]
                files.extractall(folder, names)
                for name in names:
                    archive.add(Path(folder) / name, name)


def left_out(name: str) -> bool:
    """Whether a file of a wheel is not packed."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in LEFT_OUT)


def checkout_bytes() -> int:
    """Size of all files of the checkout that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    files = [ROOT / name for name in listed.split("\0") if name]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(
    out: Annotated[Path, typer.Argument(help="archive to write, .tar.xz")],
    limit_mib: Annotated[int, typer.Option(help="of archive and checkout together")] = LIMIT_MIB,
) -> int:
    """Download, pack, and compare with the limit; exit code 1 if it is passed."""
    with tempfile.TemporaryDirectory() as folder:
        pack(download(Path(folder)), out)
    parts = [size / 2**20 for size in (out.stat().st_size, checkout_bytes())]
    print(f"archive {parts[0]:.1f} MiB + checkout {parts[1]:.1f} MiB, limit {limit_mib} MiB")
    return int(sum(parts) > limit_mib)


if __name__ == "__main__":
    raise SystemExit(run(main))
