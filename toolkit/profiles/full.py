"""The full profile: Multi-HMR, LHM and Wan2.1 on a GPU, with weights the user has fetched.

Weights are looked up before anything is loaded, so that a missing one is named at once. The models
are loaded when their stage comes, one at a time: LHM and Wan together would not fit on most GPUs.

`TOOLKIT_DEVICE=cpu` runs it without a GPU. That is for dry runs with tiny random weights
(`tools/upkeep/tiny_weights.py`); with the real ones it would take many hours.
"""

import gc
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.npz import load_body
from toolkit.coarse.lhm import predict as lhm_photo
from toolkit.errors import MissingCapabilityError, fail
from toolkit.gaussians import Gaussians
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.multihmr.fit import fit_body_multihmr
from toolkit.photo.multihmr.weights import load_multihmr
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.sdedit import SDEditConfig
from toolkit.prior.wan import model as wan
from toolkit.prior.wan.files import check_wan
from toolkit.prior.wan.grid import LatentGrid
from toolkit.profiles.base import Profile
from toolkit.run.folder import digest
from toolkit.weights.sets import choose, fingerprint, label
from toolkit.weights.table import WEIGHTS

CLIP_SIZE = (832, 480)  # height and width, the portrait of Wan2.1's 480p
NUM_VIEWS = 21  # as SV3D's clips; with the first view again at the end Wan sees 25 frames


def load_full() -> Profile:
    """Find every weight, load none yet; says in one line on stderr what was chosen.

    Raises:
        MissingCapabilityError: no GPU.
        MissingFileError: a weight is missing; with the command that fetches it.
        InputError: a variable of the environment that says nothing known.
    """
    device = find_device()
    chosen = {stage: choose(stage) for stage in ("body", "pose", "coarse", "prior")}
    names = {stage: label(*next(iter(weights.items()))) for stage, weights in chosen.items()}
    every = {name: folder for weights in chosen.values() for name, folder in weights.items()}
    stages = Stages(every, *(next(iter(chosen[stage])) for stage in ("coarse", "prior")), device)
    print(f"full profile on {device}: {', '.join(names.values())}", file=sys.stderr)
    return Profile(
        name="full",
        body_name=names["body"],
        pose_name=names["pose"],
        coarse_name=names["coarse"],
        prior_name=names["prior"],
        body_model=stages.body,
        fit_body=stages.fit_body,
        make_anchors=stages.make_anchors,
        predict_coarse=stages.predict_coarse,
        load_prior=stages.load_prior,
        edit=stages.edit(),
        num_views=NUM_VIEWS,
        clip_size=CLIP_SIZE,
        num_gaussians=stages.num_points(),
        any_number=False,
        device=rendering_device(device),
        fingerprint=digest(fingerprint(every), device),
    )


def find_device() -> str:
    """The GPU, or what `TOOLKIT_DEVICE` says: "cpu", "cuda", "cuda:1", ...

    Raises:
        MissingCapabilityError: no CUDA.
        InputError: another kind of device.
    """
    told = os.environ.get("TOOLKIT_DEVICE") or "cuda"
    if told != "cpu" and told.split(":")[0] != "cuda":
        fail("TOOLKIT_DEVICE", got=repr(told), wanted='"cuda", "cuda:N" or "cpu"', fix="Unset it.")
    if told != "cpu" and not torch.cuda.is_available():
        fail(
            'profile "full"',
            got="no CUDA GPU that torch can use",
            wanted="a CUDA GPU and the weights of LHM and Wan2.1",
            kind=MissingCapabilityError,
            fix="Use --profile embedded (or TOOLKIT_DEVICE=cpu for a dry run with tiny weights).",
        )
    return told


def rendering_device(device: str) -> str:
    """Where Gaussians are rendered: with gsplat on the GPU, else with our own rasteriser."""
    return device if importlib.util.find_spec("gsplat") else "cpu"


class OneAtATime:
    """Keeps the model that was asked for last; asking for another one frees it first."""

    def __init__(self):
        self.name, self.model = "", None

    def get(self, name: str, load: Callable[[], Any]) -> Any:
        """The model of this name, loaded if it is not the one that is kept."""
        if self.name != name:
            self.name, self.model = "", None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.model = load()
            self.name = name
        return self.model


class Stages:
    """The paper's models behind the interface of `Profile`."""

    def __init__(self, folders: dict[str, Path], lhm_name: str, wan_name: str, device: str):
        """`folders` of all weights that were chosen, by their names in `WEIGHTS`."""
        self.folders, self.device = folders, device
        self.lhm, self.wan = folders[lhm_name], folders[wan_name]
        self.points = next(name for name in folders if name.startswith("lhm-points"))
        self.body = load_body(lhm_photo.find_file(folders["smplx"], "SMPLX_NEUTRAL.npz"))
        self.loaded = OneAtATime()

    def fit_body(self, photo: Photo, person: Detection) -> PhotoBody:
        """Multi-HMR, refined to the photo."""
        net = self.loaded.get(
            "multi-hmr", lambda: load_multihmr(self.folders["multi-hmr"]).to(self.device)
        )
        return fit_body_multihmr(net, photo.rgb, person, self.body, focal_px=photo.focal_px)

    def reconstruction(self) -> lhm_photo.Reconstruction:
        """LHM with its points and encoders."""
        return self.loaded.get(
            "lhm",
            lambda: lhm_photo.load_folder(
                self.lhm,
                points=self.folders[self.points],
                sapiens=self.folders["sapiens-1b"],
                device=self.device,
            ),
        )

    def num_points(self) -> int:
        """Gaussians of this LHM, as the name of its file of points says: 1_N.ply."""
        return int(re.search(r"1_(\d+)\.ply", WEIGHTS[self.points].files[0])[1])

    def make_anchors(self, num: int) -> Anchors:
        """LHM's own query points."""
        found = lhm_photo.anchors(self.reconstruction(), self.body)
        if len(found) != num:
            fail(
                "gaussians",
                got=num,
                wanted=f"{len(found)}, the points of this LHM",
                fix="Leave the number out.",
            )
        return found

    def predict_coarse(
        self,
        image: Float[Tensor, "H W 3"],
        mask: Float[Tensor, "H W"],
        photo_body: PhotoBody,
        anchors: Anchors,
    ) -> Gaussians:
        """LHM's Gaussians on our rig."""
        return lhm_photo.predict(self.reconstruction(), image, mask, photo_body, self.body, anchors)

    def edit(self) -> SDEditConfig:
        """The paper's strength and solver, with the checkpoint's own shift."""
        return replace(wan.OPERATING_POINT, shift=check_wan(self.wan)["shift"])

    def load_prior(self, frames: int, height: int, width: int) -> wan.WanPrior:
        """Wan2.1, spread over the GPU's memory for such a clip."""
        clip = LatentGrid(frames, height, width, close_loop=True).padded
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        config = wan.WanConfig(self.wan, device=self.device, dtype=dtype, clip=clip)

        def load() -> wan.WanPrior:
            prior = wan.WanPrior.load(config)
            print(f"Wan2.1: {prior.plan}", file=sys.stderr)
            return prior

        return self.loaded.get(f"wan {clip}", load)
