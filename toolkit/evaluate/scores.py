"""All numbers of one avatar in one scene, view by view.

PSNR and SSIM count inside the true silhouette at the views' own size; which measures look at crops
is said in `evaluate.crops`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toolkit.evaluate.crops import Crops
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.reprojection import consistency
from toolkit.measure.blur import band_contrasts
from toolkit.measure.lpips import load_lpips
from toolkit.measure.metrics import masked_psnr, masked_ssim
from toolkit.measure.misalignment import silhouette_iou
from toolkit.measure.perceptual import compare_features, pool_features
from toolkit.render.api import Render


def score_views(drawn: Render, reference: Reference) -> dict:
    """Every measure of some pictures of a scene.

    Args:
        drawn: an avatar, or a clip's frames, from the scene's cameras.
        reference: the truth.

    Returns:
        Measure -> list with one value (or None, where it has no meaning) per view. `energy` and
        `energy_true` are those of `octave_energies`, `features` the vectors that KID compares;
        `lpips` is missing where its weights are.
    """
    views, true = reference.scene.views, reference.crops
    rgb = drawn.rgb.clamp(0, 1)
    mask = views.alpha > 0.5  # (C,H,W,1): inside the true silhouette
    crops = reference.truth.crop_as_truth(rgb, drawn.alpha)
    # where both cover the pixel fully, an outline that is off does not count
    common = torch.minimum(views.alpha, drawn.alpha) > 0.9
    result = {
        "psnr": masked_psnr(rgb, views.rgb, mask).tolist(),
        "psnr_common": [
            value if float(num_pixels) else None
            for value, num_pixels in zip(
                masked_psnr(rgb, views.rgb, common).tolist(), common.sum((1, 2, 3)), strict=True
            )
        ],
        "ssim": masked_ssim(rgb, views.rgb, mask).tolist(),
        "perceptual": compare_features(crops.features, true.features, true.alpha).tolist(),
        "iou": [silhouette_iou(a, b) for a, b in zip(drawn.alpha, views.alpha, strict=True)],
        "keypoint_percent": reference.keypoint_percent,
        "face_distance": face_distances(crops, true),
        "consistency": consistency(drawn, reference.scene),
        "features": round_floats(pool_features(crops.features)),
        "azimuths_deg": views.azimuths_deg.tolist(),
        **octave_energies(crops, true),
    }
    lpips = load_lpips()
    return result if lpips is None else result | {"lpips": lpips(crops.rgb, true.rgb).tolist()}


def face_distances(crops: Crops, true: Crops) -> list[float | None]:
    """1 - cosine of head features in each view; None where no face shows."""
    return [
        float(1 - F.cosine_similarity(crops.faces[i], true.faces[i], dim=0))
        if i in true.faces
        else None
        for i in range(len(crops.rgb))
    ]


def octave_energies(crops: Crops, true: Crops) -> dict[str, list]:
    """Squared contrasts in four octave bands, finest first, inside the eroded common silhouette.

    Returns:
        `energy` and `energy_true`: a list of four per view; None where the silhouette is too thin.
    """
    pairs = []
    for i in range(len(crops.rgb)):
        common = torch.minimum(crops.alpha[i], true.alpha[i])
        contrasts = band_contrasts([crops.rgb[i], true.rgb[i]], common)
        pairs.append([[_finite(v) for v in bands] for bands in contrasts**2])
    return {"energy": [pair[0] for pair in pairs], "energy_true": [pair[1] for pair in pairs]}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def round_floats(values: Tensor) -> list:
    """A tensor as nested lists of five decimals: what a record's JSON needs."""
    return np.round(values.numpy().astype(np.float64), 5).tolist()
