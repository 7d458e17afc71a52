"""Other people's programs open our files: splat-transform, Babylon.js, three.js, glTF's validator.

They come from npm: npm install --prefix runs/js @playcanvas/splat-transform three
@babylonjs/core @babylonjs/loaders gltf-validator. TOOLKIT_NODE_MODULES names another place.
"""

import base64
import contextlib
import functools
import http.server
import io
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from experiments.browser import Browser, chromium_path
from toolkit.gaussians import Gaussians

NODE_MODULES = Path(os.environ.get("TOOLKIT_NODE_MODULES", "runs/js/node_modules")).absolute()
PAGES = Path(__file__).parent / "foreign"


def node_package(name: str) -> Path | None:
    """Folder of an npm package, or None if it or node is missing."""
    folder = NODE_MODULES / name
    return folder if folder.is_dir() and shutil.which("node") else None


def through_splat_transform(path: Path) -> Gaussians | None:
    """The Gaussians that splat-transform reads from our file; None where it is not installed."""
    package = node_package("@playcanvas/splat-transform")
    if package is None:
        return None
    from toolkit.export.splats import finite_ply

    out = path.with_name(f"{path.name}.foreign.ply")
    command = ["node", str(package / "bin" / "cli.mjs"), "-q", "-w", "-g", "cpu"]
    subprocess.run([*command, str(path), str(out)], check=True, timeout=300)
    out.write_bytes(finite_ply(out.read_bytes()))
    back = Gaussians.load_ply(out)
    if path.suffix != ".spz":
        return back
    # .spz is y up by its specification, PLY is y down for this program: it turns about x
    w, x, y, z = back.quats.unbind(1)
    means = back.means * torch.tensor([1.0, -1.0, -1.0])
    return back.replace(means=means, quats=torch.stack([-x, w, -z, y], dim=1))


def validate_gltf(path: Path) -> dict | None:
    """Numbers of errors and warnings by Khronos' validator; None where it is not installed."""
    if node_package("gltf-validator") is None:
        return None
    code = (
        "const v = require('gltf-validator'), fs = require('fs');"
        f"v.validateBytes(new Uint8Array(fs.readFileSync({json.dumps(str(path))})))"
        ".then(r => console.log(JSON.stringify([r.issues.numErrors, r.issues.numWarnings])));"
    )
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
    run = subprocess.run(
        ["node", "-e", code], env=environment, capture_output=True, check=True, timeout=300
    )
    errors, warnings = json.loads(run.stdout)
    return {"errors": errors, "warnings": warnings}


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def opened(page: str, folder: Path) -> Iterator[Browser]:
    """A browser that shows one of our pages with a foreign library and the files of a folder."""
    shutil.copy(PAGES / page, folder / page)
    modules = folder / "node_modules"
    modules.unlink(missing_ok=True)
    modules.symlink_to(NODE_MODULES)
    handler = functools.partial(_Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser(300, 300)
    try:
        browser.open(f"http://127.0.0.1:{server.server_port}/{page}")
        yield browser
    finally:
        browser.close()
        server.shutdown()


def foreign_pictures(
    page: str, package: str, folder: Path, views: list[dict], *more: float
) -> tuple[int, Float[torch.Tensor, "V H W 3"]] | None:
    """What a foreign renderer shows of our file: number of things read, and one picture per view.

    Args:
        page: a file of `foreign/`.
        package: that it needs; None comes back where it or Chromium is missing.
        folder: with avatar.glb and avatar_mesh.glb.
        views: `eye` and `fov`.
        more: further arguments of the page's `show`, e.g. a time.
    """
    if node_package(package) is None or chromium_path() is None:
        return None
    with opened(page, folder) as browser:
        count = browser.js("window.loaded")
        rest = "".join(f", {value}" for value in more)
        urls = [browser.js(f"window.show({json.dumps(view)}{rest})") for view in views]
    return int(count), torch.stack([_picture(url) for url in urls])


def _picture(url: str) -> Float[torch.Tensor, "H W 3"]:
    data = base64.b64decode(url.split(",", 1)[1])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return torch.from_numpy(pixels / np.float32(255))
