"""Train the small LHM on rendered people: photometric loss from views the network never sees.

python -m tools.train.people --num 1500            # once; more may be added while this runs
python -m tools.train.coarse --minutes 80         # resumes; weights -> data/models/
"""

import argparse
import copy
import math
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.coarse.from_photo import save_coarse
from toolkit.coarse.observation import lay_out, observe
from toolkit.coarse.small import AnchorTransformer
from toolkit.gaussians import Gaussians
from toolkit.render.api import render
from tools.train.people import Sample, list_people, load_sample

LEARNING_RATE = 1e-3
CHECKPOINT_SECONDS = 120


@dataclass
class Setup:
    """What every step needs besides the network."""

    body: BodyModel
    anchors: list
    layouts: list
    rng: random.Random
    generator: torch.Generator


def estimated_body(sample: Sample, setup: Setup) -> SimpleNamespace:
    """The true body, or (half of the time) with errors of the size the photo fit makes."""
    level = setup.rng.choice([0.0, 0.0, 0.5, 1.0])

    def noise(like, size):
        return level * size * torch.randn(like.shape, generator=setup.generator)

    betas, pose = sample.betas + noise(sample.betas, 0.3), sample.pose + noise(sample.pose, 0.05)
    return SimpleNamespace(
        betas=betas,
        pose=pose,
        camera=sample.crop.camera,
        transl=sample.transl + noise(sample.transl, 0.008),
    )


def recolored(sample: Sample, setup: Setup) -> Sample:
    """Half of the time the same person under a random colour gain, alike in photo and truth."""
    if setup.rng.random() < 0.5:
        return sample
    gain = 0.55 + 0.6 * torch.rand(3, generator=setup.generator)

    def dyed(rgba):
        bare = 1 - rgba[..., 3:]
        return torch.cat([(rgba[..., :3] - bare).clamp(0, 1) * gain + bare, rgba[..., 3:]], -1)

    crop = replace(sample.crop, rgb=(sample.crop.rgb * gain[:, None, None]).clamp(0, 1))
    return replace(
        sample,
        crop=crop,
        photo_rgba=dyed(sample.photo_rgba).clamp(0, 1),
        turn_rgba=dyed(sample.turn_rgba).clamp(0, 1),
        posed_rgba=dyed(sample.posed_rgba).clamp(0, 1),
    )


def step_loss(model: AnchorTransformer, sample: Sample, setup: Setup) -> dict[str, torch.Tensor]:
    """Losses of one person: the photo's own view and four random others."""
    which = setup.rng.randrange(len(setup.anchors))
    anchors, layout = setup.anchors[which], setup.layouts[which]
    guess = estimated_body(sample, setup)
    seen = observe(sample.crop, guess, setup.body, anchors)
    gaussians = model(sample.crop, layout, seen)
    rig = Rig.build(setup.body, anchors, guess.betas)
    posed = pose_gaussians(gaussians, rig, guess.pose, guess.transl)
    total = view_loss(
        posed, sample.crop.camera, sample.photo_rgba[None], sample.crop.known[None, ..., None]
    )
    turn = setup.rng.sample(range(len(sample.turn_cameras)), 3)
    standing = pose_gaussians(gaussians, rig, a_pose(), sample.transl)
    total = total + 2 * view_loss(standing, sample.turn_cameras[turn], sample.turn_rgba[turn])
    other = setup.rng.randrange(len(sample.posed_cameras))
    total = total + view_loss(
        posed, sample.posed_cameras[other], sample.posed_rgba[other : other + 1]
    )
    shape = surface_loss(standing.means, sample.surface)
    offset = gaussians.means - seen.rest
    calm = 0.3 * offset.norm(dim=-1).mean() + 2.0 * (gaussians.scales - 0.015).clamp_min(0).mean()
    return {
        "loss": total / 4 + 8 * shape + calm,
        "image": total.detach() / 4,
        "surface_m": shape.detach(),
    }


def surface_loss(means: torch.Tensor, surface: torch.Tensor) -> torch.Tensor:
    """Mean distance (m) from Gaussians to the dressed surface and back.

    A picture pulls a splat only from as far as its own footprint; this reaches hair and skirts.
    """
    points, truth = means.detach().numpy(), surface.numpy()
    to_surface = surface[cKDTree(truth).query(points)[1]]
    to_gaussian = cKDTree(points).query(truth)[1]
    there = (means - to_surface).norm(dim=-1).mean()
    back = (means[to_gaussian] - surface).norm(dim=-1).mean()
    return 0.5 * there + back


def view_loss(gaussians: Gaussians, cameras, truth_rgba, known=1.0) -> torch.Tensor:
    """Colour, coverage and gradient errors at two scales, per covered pixel.

    Args:
        truth_rgba: (C, H, W, 4), straight colour composited on white, and coverage.
        known: 0 where the truth shows nothing because a photo ends there.
    """
    out = render(gaussians, cameras)
    cover, alpha = out.alpha * known, truth_rgba[..., 3:] * known
    rgb, truth = out.rgb * known, truth_rgba[..., :3] * known
    shade = 0.35  # on grey, else white clothes and holes look alike
    darker = rgb - (1 - cover) * shade, truth - (1 - alpha) * shade
    area = alpha.sum().clamp_min(50.0)
    near, far = (x.permute(0, 3, 1, 2) for x in darker)
    holes = (alpha - cover).clamp_min(0).sum()  # count more than a rim that is too wide
    loss = (near - far).abs().sum() / 3 + 0.5 * (cover - alpha).abs().sum() + 0.5 * holes
    for dim in (2, 3):
        loss = loss + 0.5 * (near.diff(dim=dim) - far.diff(dim=dim)).abs().sum() / 3
    small = F.avg_pool2d(near, 4) - F.avg_pool2d(far, 4)
    return (loss + 16 * 0.5 * small.abs().sum() / 3) / area


def train(args) -> None:
    """Optimise until `args.minutes` of training are used up; resume from `args.out`."""
    torch.manual_seed(0)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    body = load_body()
    sets = ((20_000, 0), (8_000, 1), (8_000, 2))
    anchors = [sample_anchors(body, num=n, seed=s) for n, s in sets]
    model = AnchorTransformer()
    now = time.time_ns() % 2**31  # a resumed run must not see the same people again
    setup = Setup(
        body,
        anchors,
        [lay_out(a, model.num_tokens) for a in anchors],
        random.Random(now),
        torch.Generator().manual_seed(now),
    )
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    state = {"step": 0, "seconds": 0.0}
    if (out / "last.pt").is_file():
        saved = torch.load(out / "last.pt", weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        state = saved["state"]
    run(args, out, setup, model, average, optimizer, state)


def run(args, out, setup, model, average, optimizer, state) -> None:  # noqa: PLR0913
    """The loop itself."""
    people, history, last_save = list_people(args.people, "train"), [], time.time()
    while state["seconds"] < 60 * args.minutes:
        start = time.time()
        done = state["seconds"] / (60 * args.minutes)
        warm = min(1.0, (state["step"] + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm * (0.5 + 0.5 * math.cos(math.pi * done))
        optimizer.zero_grad()
        for _ in range(args.batch):
            sample = recolored(load_sample(setup.rng.choice(people)), setup)
            losses = step_loss(model, sample, setup)
            (losses["loss"] / args.batch).backward()
            history.append((losses["image"].item(), losses["surface_m"].item()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state["step"] += 1
        keep = min(0.998, state["step"] / (state["step"] + 10))
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - keep)
        state["seconds"] += time.time() - start
        if time.time() - last_save > CHECKPOINT_SECONDS:
            save(out, model, average, optimizer, state)
            report(out, state, history, len(people))
            people, history, last_save = list_people(args.people, "train"), [], time.time()
    save(out, model, average, optimizer, state)


def save(out: Path, model, average, optimizer, state) -> None:
    """Checkpoint, and the averaged weights alone."""
    torch.save(
        {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "state": state,
        },
        out / "last.tmp",
    )
    (out / "last.tmp").replace(out / "last.pt")
    save_coarse(average, out / "coarse.safetensors")


def report(out: Path, state, history, num_people: int) -> None:
    """One line in the log."""
    image, surface = torch.tensor(history).mean(dim=0).tolist()
    with open(out / "log.txt", "a") as log:
        log.write(
            f"{time.strftime('%H:%M:%S')} step {state['step']} {state['seconds']:.0f} s "
            f"image loss {image:.4f} surface {100 * surface:.2f} cm people {num_people}\n"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--batch", type=int, default=1, help="people a step")
    parser.add_argument("--people", default="runs/people")
    parser.add_argument("--out", default="runs/coarse")
    torch.set_num_threads(1)  # two threads on a shared machine are slower than one
    train(parser.parse_args())
