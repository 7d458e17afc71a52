"""Multi-HMR: SMPL-X bodies of all people in one picture, from one pass of a vision transformer.

    picture --DINOv2--> tokens --scores--> cells with a head --cross-attention--> bodies

This is our own implementation, as NAVER's is a repository and not a package. It loads the released
checkpoints (`weights.py`), which are for non-commercial use and do not ship with us.
Source: Baradel et al. 2024, Multi-HMR: Multi-Person Whole-Body Human Mesh Recovery.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.body.rotations import matrix_to_axis_angle
from toolkit.errors import fail
from toolkit.photo.multihmr.head import HeadConfig, PersonHead, encode_rays
from toolkit.photo.vit import VisionTransformer, VitConfig

FOV_DEG = 60.0  # field of view of the square picture in training; 50 to 70 work as well
MAX_DISTANCE_M = 50.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's RGB statistics


@dataclass(frozen=True)
class MultiHMRConfig:
    """Sizes of the net; `weights.read_config` reads them off a checkpoint.

    Attributes:
        vit: the image encoder.
        head: the decoder.
        size_px: side of the square picture.
        num_bands: frequencies of the ray encoding; 0 leaves the rays out.
        max_resolution: twice the highest frequency of the ray encoding.
        log_distance: whether the head answers with the logarithm of the distance.
    """

    vit: VitConfig = field(default_factory=VitConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    size_px: int = 896
    num_bands: int = 16
    max_resolution: int = 64
    log_distance: bool = True


@dataclass(frozen=True)
class Human:
    """The net's answer for one person, in the camera's axes (x right, y down, z forward).

    Attributes:
        score: probability that a head lies here.
        head_px: the head joint in pixels of the net's picture.
        rotvec: axis-angle in radians: root, 21 body, 15 left hand, 15 right hand, jaw.
        betas: shape of SMPL-X.
        expression: facial expression of SMPL-X.
        head: the head joint in metres.
    """

    score: float
    head_px: Float[Tensor, " 2"]
    rotvec: Float[Tensor, "53 3"]
    betas: Float[Tensor, " S"]
    expression: Float[Tensor, " 10"]
    head: Float[Tensor, " 3"]

    @property
    def pose(self) -> Float[Tensor, "55 3"]:
        """The rotations in our order: root, body, jaw, eyes at rest, left hand, right hand."""
        return to_pose(self.rotvec)


def to_pose(rotvec: Float[Tensor, "53 3"]) -> Float[Tensor, "55 3"]:
    """Reorder Multi-HMR's rotations to SMPL-X's order: the jaw moves up, the eyes stay at rest."""
    body, hands, jaw = rotvec.split([22, 30, 1])
    return torch.cat([body, jaw, torch.zeros(2, 3).to(rotvec), hands])


class MultiHMR(nn.Module):
    """The net. Parameters have the released names; the body's `smpl_layer.*` is left out."""

    def __init__(self, config: MultiHMRConfig):
        super().__init__()
        self.config = config
        dim = config.vit.dim
        self.backbone = nn.Module()
        self.backbone.encoder = VisionTransformer(config.vit)
        self.mlp_classif, self.mlp_offset = (
            nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, num)) for num in (1, 2)
        )
        self.x_attention_head = PersonHead(config.head)

    @torch.no_grad()
    def forward(
        self,
        image: Float[Tensor, "3 S S"],
        K: Float[Tensor, "3 3"] | None = None,
        *,
        threshold: float = 0.3,
        nms: int = 3,
    ) -> list[Human]:
        """Everyone in one picture, highest score first.

        Args:
            image: RGB in [0, 1], square, of `config.size_px`.
            K: intrinsics in pixels of `image`; None takes the camera of the training, 60 degrees.
            threshold: lowest score of a person, in [0, 1].
            nms: side of the window, in tokens, in which only the highest score counts; odd.

        Raises:
            InputError: the picture has another size.
        """
        size = self.config.size_px
        if tuple(image.shape) != (3, size, size):
            fail(
                "Multi-HMR picture",
                got=tuple(image.shape),
                wanted=f"(3, {size}, {size})",
                fix="Pad it to a square and resize it with toolkit.photo.multihmr.square_picture.",
            )
        K = default_camera(size) if K is None else K
        mean, std = (torch.tensor(v).to(image)[:, None, None] for v in (MEAN, STD))
        tokens = self.backbone.encoder(((image - mean) / std)[None])[0]
        grid = size // self.config.vit.patch
        tokens = tokens.unflatten(0, (grid, grid))  # (G, G, D), rows first
        scores = suppress(self.mlp_classif(tokens)[..., 0].sigmoid(), nms)
        rows, cols = torch.where(scores >= threshold)
        order = scores[rows, cols].argsort(descending=True, stable=True)
        return self._people(tokens, K.to(tokens), scores, rows[order], cols[order])

    def _people(
        self,
        tokens: Float[Tensor, "G G D"],
        K: Tensor,
        scores: Tensor,
        rows: Int[Tensor, " P"],
        cols: Int[Tensor, " P"],
    ) -> list[Human]:
        """Decode the people whose heads lie in the cells (rows, cols)."""
        if not len(rows):
            return []
        offset = self.mlp_offset(tokens[rows, cols])
        # The cell's centre plus the net's offset, both in cells.
        head_px = (torch.stack([cols, rows], dim=1) + 0.5 + offset) * self.config.vit.patch
        tokens = torch.cat([tokens, self._rays(K, len(tokens))], dim=-1)
        bodies = self.x_attention_head(tokens, rows, cols)
        distance = self._distance(bodies.camera[:, 0], K)
        # Back-projection: the pixel's ray K^-1 (x, y, 1), stretched to the distance along z.
        homogeneous = torch.cat([head_px, torch.ones_like(head_px[:, :1])], dim=1)
        head = homogeneous @ torch.linalg.inv(K).T * distance[:, None]
        rotvec = torch.from_numpy(matrix_to_axis_angle(bodies.rotmats.cpu().numpy())).to(
            bodies.rotmats
        )
        return [
            Human(
                float(scores[rows[p], cols[p]]),
                *(
                    t[p].float().cpu()
                    for t in (head_px, rotvec, bodies.betas, bodies.expression, head)
                ),
            )
            for p in range(len(rows))
        ]

    def _rays(self, K: Float[Tensor, "3 3"], grid: int) -> Float[Tensor, "G G F"]:
        """Encoded viewing ray of each token.

        Row and column are swapped: x is the row. The net was trained so, and needs it so.
        """
        if not self.config.num_bands:
            return torch.zeros(grid, grid, 0).to(K)
        centers = torch.arange(grid).to(K) * self.config.vit.patch + self.config.vit.patch // 2
        rows, cols = torch.meshgrid(centers, centers, indexing="ij")
        points = torch.stack([rows, cols, torch.ones_like(rows)], dim=-1)
        return encode_rays(
            points @ torch.linalg.inv(K).T, self.config.num_bands, self.config.max_resolution
        )

    def _distance(self, raw: Float[Tensor, " P"], K: Tensor) -> Float[Tensor, " P"]:
        """Distance in metres from the head's answer, which holds for the 60 degree camera."""
        value = raw * K[0, 0] / default_camera(self.config.size_px)[0, 0]
        # The training scaled the logarithm, not the distance, with the focal length; so do we.
        value = value.exp() - 1e-10 if self.config.log_distance else value
        return value.clamp(0, MAX_DISTANCE_M)


def default_camera(size_px: int, fov_deg: float = FOV_DEG) -> Float[Tensor, "3 3"]:
    """Intrinsics of a square picture; the principal point is its middle, in whole pixels."""
    focal = size_px / (2 * math.tan(math.radians(fov_deg) / 2))
    return torch.tensor([[focal, 0, size_px // 2], [0, focal, size_px // 2], [0, 0, 1.0]])


def suppress(scores: Float[Tensor, "G G"], window: int) -> Float[Tensor, "G G"]:
    """Set all scores to 0 but those that are the largest within `window` tokens."""
    scores = scores.clamp(1e-4, 1 - 1e-4)
    largest = F.max_pool2d(scores[None], window, stride=1, padding=window // 2)[0]
    return scores * (scores == largest)
