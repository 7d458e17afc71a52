"""A procedural person: everything needed to draw it again, from any camera, in any pose."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.people.draw.light import Light
from toolkit.people.dress.assemble import DressedMesh
from toolkit.people.dress.outfit import Outfit


@dataclass(frozen=True)
class Person:
    """One person with a true body, an outfit, and the photo that is taken of it.

    Attributes:
        seed: the person's number; the same seed gives the same person.
        split: "train", "val" or "test"; prints and patterns are disjoint between them.
        attributes: what the person looks like, in words and numbers (JSON-able).
        betas: body shape, S numbers.
        pose: axis-angle per joint in radians; row 0 is the global orientation.
        transl: metres; puts the pelvis joint at the origin of the world.
        expression: weights of the body's expressions, or None for a neutral face.
        outfit: clothes, hair and skin in detail.
        light: fixed in the world, not to the camera.
        photo_camera: one camera on +z with rotation diag(1,-1,-1).
    """

    seed: int
    split: str
    attributes: dict
    betas: Float[Tensor, " S"]
    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, "3"]
    expression: Float[Tensor, " E"] | None
    outfit: Outfit
    light: Light
    photo_camera: Cameras

    @property
    def mesh(self) -> DressedMesh:
        """The dressed mesh in rest space, built once per outfit."""
        return self.outfit.mesh

    def random(self, purpose: int) -> np.random.Generator:
        """A new generator for one purpose (background, noise); every call starts it afresh.

        Args:
            purpose: any number; other numbers give independent generators.
        """
        return np.random.default_rng([self.seed, 77, purpose])
