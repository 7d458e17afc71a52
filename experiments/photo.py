"""Score photo -> body on rendered people whose true body is known; print a table, write JSON.

    python -m experiments.photo --num 64 --out runs/score_photo.json --sheet runs/score_photo.png

Lengths are shares of the person's height in the picture (the true body's, standing parts that the
picture cuts off included).

    keypoint error   mean distance of the fitted body's 22 joints to the true ones, in the picture
    PCK@0.05         share of the joints in the picture that are nearer than 0.05
    detector         the same two numbers for the 33 points before the fit
    mask IoU         the net's mask against the true, dressed person
    body IoU         the fitted body's silhouette against the true body's, clothes taken off
    dressed IoU      the fitted body's silhouette against the true, dressed person
    naked truth      the true body's silhouette against the dressed person: what a perfect fit has
    PA-MPJPE         mean distance in mm of COCO's 17 joints in 3D after the best similarity, as in
                     `python -m toolkit evaluate`; its parts across and along the view
    MPJPE            the same with only the hips laid upon each other
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from toolkit.body.model import BodyModel
from toolkit.body.npz import load_body
from toolkit.errors import ToolkitError
from toolkit.evaluate.align import fit_similarity, joint_errors_mm
from toolkit.people.draw.photo import photo_of
from toolkit.people.sample import sample_person
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.smplify.fit import fit_body
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import atomic_path

COLUMNS = (
    "pck",
    "keypoint_error",
    "detector_pck",
    "detector_error",
    "mask_iou",
    "body_iou",
    "dressed_iou",
    "naked_truth_iou",
    "pa_mpjpe_mm",
    "pa_across_mm",
    "pa_depth_mm",
    "mpjpe_mm",
    "seconds",
)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Shared area over joint area of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def drawn(body: BodyModel, person, camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint pixels (22,2), photo point pixels (33,2) and silhouette of a body in a camera."""
    out = body(person.betas, person.pose, person.transl)
    points = torch.from_numpy(body.extra["blazepose33"]) @ out.vertices
    (pixels,), _ = camera.project(torch.cat([out.joints[:22], points]))
    mask = rasterize_mesh(out.vertices.numpy(), body.faces_body.numpy(), camera).mask
    return pixels[:22].numpy(), pixels[22:].numpy(), mask


def joint_errors(body: BodyModel, person, found) -> dict:
    """Errors of COCO's 17 joints in 3D, mm; across and along the photo's view after alignment."""
    regressor = torch.from_numpy(body.extra["coco17"]).float()
    true = regressor @ body(person.betas, person.pose, person.transl, person.expression).vertices
    ours = regressor @ body(found.betas, found.pose, found.transl).vertices
    off = 1e3 * (fit_similarity(ours, true)(ours) - true)  # the true camera looks along -z
    return joint_errors_mm(ours, true) | {
        "pa_across_mm": float(off[:, :2].norm(dim=1).mean()),
        "pa_depth_mm": float(off[:, 2].abs().mean()),
    }


def score(body: BodyModel, person, seconds: float, views, detection, found) -> dict:
    """All numbers of one person."""
    camera = found.camera
    true_camera = person.photo_camera
    joints, points, naked = drawn(body, person, true_camera)
    ours, _, silhouette = drawn(body, found, camera)
    size = np.array([camera.width, camera.height])
    height = np.ptp(joints[:, 1]) * 1.12  # from the toes to the skull's top
    dressed = views.alpha[0, ..., 0].numpy() > 0.5
    result = {"seed": person.seed, "framing": person.attributes["framing"], "seconds": seconds}
    for name, got, true in (("", ours, joints), ("detector_", detection.keypoints[:, :2], points)):
        shown = ((true > 0) & (true < size)).all(axis=1)
        error = np.linalg.norm(got - true, axis=1)[shown] / height
        result[f"{name}pck"] = float((error < 0.05).mean())
        result[f"{name or 'keypoint_'}error"] = float(error.mean())
    return result | {
        "mask_iou": iou(detection.mask > 0.5, dressed),
        "body_iou": iou(silhouette, naked),
        "dressed_iou": iou(silhouette, dressed),
        "naked_truth_iou": iou(naked, dressed),
        **joint_errors(body, person, found),
    }


def overlay(photo: np.ndarray, body: BodyModel, found) -> np.ndarray:
    """The photo with the fitted body's contour in magenta and its inside tinted."""
    _, _, mask = drawn(body, found, found.camera)
    edge = mask ^ (
        np.roll(mask, 1, 0)
        & np.roll(mask, -1, 0)
        & np.roll(mask, 1, 1)
        & np.roll(mask, -1, 1)
        & mask
    )
    picture = photo / 255.0
    picture[mask] = 0.75 * picture[mask] + 0.25 * np.array([0.3, 0.6, 1.0])
    picture[edge] = [1.0, 0.0, 1.0]
    return (picture * 255).astype(np.uint8)


def write_sheet(pictures: list[np.ndarray], path: Path, columns: int = 8) -> None:
    from PIL import Image

    blank = np.full_like(pictures[0], 255)
    pictures = pictures + [blank] * (-len(pictures) % columns)
    rows = [
        np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)
    ]
    with atomic_path(path) as file:
        Image.fromarray(np.concatenate(rows)).resize((320 * columns, 320 * len(rows))).save(file)


def summary(rows: list[dict]) -> dict:
    """Means of all people, of whole and of upper bodies."""
    groups = {"all": rows, **{f: [r for r in rows if r["framing"] == f] for f in ("full", "upper")}}
    return {
        name: {"people": len(group)} | {c: float(np.mean([r[c] for r in group])) for c in COLUMNS}
        for name, group in groups.items()
        if group
    }


def print_table(means: dict) -> None:
    print("".join(f"{name:>17}" for name in ("", *means)))
    for column in ("people", *COLUMNS):
        print(f"{column:>17}" + "".join(f"{m[column]:17.3f}" for m in means.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="test")
    parser.add_argument("--num", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("runs/score_photo.json"))
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--without-lifter", action="store_true", help="the ablation")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    body, rows, failed, pictures = load_body(), [], {}, []
    for seed in tqdm(range(arguments.num), desc="people"):
        person = sample_person(seed, arguments.split)
        photo, views = photo_of(person, supersample=2)
        start = time.perf_counter()
        try:
            detection = detect(photo / np.float32(255))
        except ToolkitError as error:
            failed[seed] = str(error)
            continue
        found = fit_body(detection, photo.shape[:2], body, use_lifter=not arguments.without_lifter)
        rows.append(score(body, person, time.perf_counter() - start, views, detection, found))
        pictures.append(overlay(photo, body, found))
    means = summary(rows)
    with atomic_path(arguments.out) as file:
        file.write_text(
            json.dumps(
                {"split": arguments.split, "means": means, "failed": failed, "people": rows},
                indent=1,
            )
            + "\n"
        )
    if arguments.sheet:
        write_sheet(pictures, arguments.sheet)
    print_table(means)
    print(f"{len(failed)} failed: {failed}")


if __name__ == "__main__":
    main()
