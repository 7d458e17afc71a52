"""The full profile: Multi-HMR, LHM and Wan2.1 on a GPU, with weights the user has fetched.

Weights are looked up before anything is loaded, so that a missing one is named at once. The models
are loaded when their stage comes, one at a time: LHM and Wan together would not fit on most GPUs.

`TOOLKIT_DEVICE=cpu` runs it without a GPU. That is for dry runs with tiny random weights
(`tools/upkeep/tiny_weights.py`); with the real ones it would take many hours.
"""

import gc
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from toolkit.body.anchors import Anchors
from toolkit.body.npz import load_body
from toolkit.coarse.lhm.checkpoint import Reconstruction, find_file, load_folder
from toolkit.coarse.lhm.from_photo import make_anchors, predict
from toolkit.coarse.lhm.points import are_computed
from toolkit.errors import MissingCapabilityError, fail
from toolkit.gaussians import Gaussians
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.multihmr.fit import fit_body_multihmr
from toolkit.photo.multihmr.weights import load_multihmr
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.wan.config import OPERATING_POINT, WanConfig
from toolkit.prior.wan.files import check_wan
from toolkit.prior.wan.grid import LatentGrid
from toolkit.prior.wan.memory import choose_plan, gpu_memory_gb
from toolkit.prior.wan.model import WanPrior
from toolkit.profiles.base import Defaults
from toolkit.profiles.memory import CLIP_SIZE, NUM_VIEWS, lhm_dtype, stage_need, wan_config
from toolkit.render.gsplat_kernels import rendering_device
from toolkit.run.device import VARIABLE, check_device, wanted_device
from toolkit.run.folder import digest
from toolkit.weights.sets import choose, fingerprint, label
from toolkit.weights.table import WEIGHTS


def load_full() -> "FullProfile":
    """Find every weight, load none yet; says in one line on stderr what was chosen.

    Raises:
        MissingCapabilityError: no GPU, or one that is too small for a network.
        MissingFileError: a weight is missing; with the command that fetches it.
        InputError: a variable of the environment that says nothing known.
    """
    device = find_device()
    chosen = {stage: choose(stage) for stage in ("body", "pose", "coarse", "prior")}
    names = {stage: label(*next(iter(weights.items()))) for stage, weights in chosen.items()}
    every = {name: folder for weights in chosen.values() for name, folder in weights.items()}
    check_memory(chosen, device)
    print(f"full profile on {device}: {', '.join(names.values())}", file=sys.stderr)
    return FullProfile(every, names, chosen, device)


def find_device() -> str:
    """The GPU, or what `TOOLKIT_DEVICE` says: "cpu", "cuda", "cuda:1", ...

    Raises:
        MissingCapabilityError: no such GPU.
        InputError: another kind of device.
    """
    device = wanted_device()
    check_device(
        device,
        what=f'profile "full" ({VARIABLE})',
        fix="Use --profile embedded (or TOOLKIT_DEVICE=cpu for a dry run with tiny weights).",
    )
    return device


def check_memory(chosen: dict[str, dict[str, Path]], device: str) -> None:
    """Refuse a GPU on which a network would run out of memory minutes later.

    Wan is judged by `FullProfile.check_clip`: how much it needs depends on the clip.

    Args:
        chosen: the weights of each stage.
        device: of the networks.

    Raises:
        MissingCapabilityError: the GPU has less memory than a stage needs.
    """
    if device == "cpu":
        return
    has_gb = card_gb(device)
    for stage in ("pose", "coarse"):
        need = stage_need(stage, tuple(chosen[stage]))
        if need.gpu_gb > has_gb:
            fail(
                f"GPU memory for {next(iter(chosen[stage]))}",
                got=f"{has_gb:.1f} GB",
                wanted=f"{need.gpu_gb:.1f} GB ({need.says})",
                fix="Choose a smaller LHM with TOOLKIT_LHM, or use --profile embedded.",
                kind=MissingCapabilityError,
            )


def card_gb(device: str) -> float:
    """All memory of a GPU, 10^9 bytes."""
    return torch.cuda.get_device_properties(device).total_memory / 1e9


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


class FullProfile:
    """Multi-HMR, LHM and Wan2.1; see `profiles.base.Profile`."""

    name = "full"

    def __init__(
        self,
        folders: dict[str, Path],
        labels: dict[str, str],
        chosen: dict[str, dict[str, Path]],
        device: str,
    ):
        """Nothing large is loaded yet.

        Args:
            folders: of all weights that were chosen, by their names in `WEIGHTS`.
            labels: what the report calls each stage's model.
            chosen: the weights of each stage; the first one is the model itself.
            device: of the networks.
        """
        self.folders, self.net_device = folders, device
        self.lhm, self.wan = (folders[next(iter(chosen[s]))] for s in ("coarse", "prior"))
        self.lhm_names, self.wan_name = tuple(chosen["coarse"]), next(iter(chosen["prior"]))
        self.points = next(name for name in folders if name.startswith("lhm-points"))
        self.body_model = load_body(find_file(folders["smplx"], "SMPLX_NEUTRAL.npz"))
        self.loaded = OneAtATime()
        self.models = {
            "body_model": labels["body"],
            "pose_model": labels["pose"],
            "coarse_model": labels["coarse"],
            "video_prior": labels["prior"],
        }
        self.advice = check_wan(self.wan)["advice"]
        self.defaults = Defaults(
            # the paper's strength and solver, with the shift that Wan's authors advise
            edit=replace(OPERATING_POINT, shift=self.advice.shift),
            num_views=NUM_VIEWS,
            clip_size=CLIP_SIZE,
            num_gaussians=self.num_points(),
            any_number=False,
        )
        self.device = rendering_device(device)
        self.notes = {
            "video_prior_settings": str(self.advice),
            "rasteriser": "CPU" if self.device == "cpu" else "gsplat",
        }
        if are_computed(find_file(folders[self.points], "1_*.ply")):
            self.notes["query_points"] = "drawn from the checkpoint, not those of LHM's release"
        self.fingerprint = digest(fingerprint(folders), device)

    def fit_body(self, photo: Photo, person: Detection) -> PhotoBody:
        """Multi-HMR, refined to the photo."""
        net = self.loaded.get(
            "multi-hmr", lambda: load_multihmr(self.folders["multi-hmr"]).to(self.net_device)
        )
        return fit_body_multihmr(net, photo.rgb, person, self.body_model, focal_px=photo.focal_px)

    def reconstruction(self) -> Reconstruction:
        """LHM with its points and encoders."""

        def load() -> Reconstruction:
            free_gb = gpu_memory_gb(self.net_device)
            dtype = lhm_dtype(self.lhm_names, free_gb)
            if dtype != torch.float32:
                print(f"LHM runs in bfloat16: {free_gb:.1f} GB are free", file=sys.stderr)
            return load_folder(
                self.lhm,
                points=self.folders[self.points],
                sapiens=self.folders["sapiens-1b"],
                device=self.net_device,
                dtype=dtype,
            )

        return self.loaded.get("lhm", load)

    def num_points(self) -> int:
        """Gaussians of this LHM, as the name of its file of points says: 1_N.ply."""
        return int(re.search(r"1_(\d+)\.ply", WEIGHTS[self.points].files[0])[1])

    def make_anchors(self, num: int) -> Anchors:
        """LHM's own query points."""
        anchors = make_anchors(self.reconstruction(), self.body_model)
        if len(anchors) != num:
            fail(
                "gaussians",
                got=num,
                wanted=f"{len(anchors)}, the points of this LHM",
                fix="Leave the number out.",
            )
        return anchors

    def predict_coarse(self, photo: Photo, body: PhotoBody, anchors: Anchors) -> Gaussians:
        """LHM's Gaussians on our rig."""
        image, mask = torch.from_numpy(photo.rgb), torch.as_tensor(body.mask)
        return predict(self.reconstruction(), image, mask, body, self.body_model, anchors)

    def check_clip(self, frames: int, height: int, width: int) -> None:
        """Refuse a clip for which the GPU is too small, before the other networks have run.

        Raises:
            MissingCapabilityError: not even Wan's leanest plan fits.
        """
        if self.net_device != "cpu":
            clip = LatentGrid(frames, height, width, close_loop=True).padded
            choose_plan(card_gb(self.net_device), wan_config(self.wan_name), clip)

    def load_prior(self, frames: int, height: int, width: int) -> WanPrior:
        """Wan2.1, spread over the GPU's memory for such a clip."""
        clip = LatentGrid(frames, height, width, close_loop=True).padded
        dtype = torch.float32 if self.net_device == "cpu" else torch.bfloat16
        config = WanConfig(self.wan, device=self.net_device, dtype=dtype, clip=clip)

        def load() -> WanPrior:
            prior = WanPrior.load(config)
            print(f"Wan2.1: {prior.plan}; {self.advice}", file=sys.stderr)
            return prior

        return self.loaded.get(f"wan {clip}", load)
