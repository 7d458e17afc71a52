"""Looks at a procedural person: colours of patches, silhouettes, joints; never its attributes."""

from dataclasses import replace

import numpy as np
import torch

from toolkit.body.npz import load_body
from toolkit.cameras import Cameras
from toolkit.dataset.draws import sample_record
from toolkit.dataset.person_of_record import make_person
from toolkit.dataset.records import AttributeRecord
from toolkit.people.draw.render import render_person

PLAIN = {  # a person on whom everything can be seen
    "gender": "man",
    "age": "in the thirties",
    "ethnicity": "White",
    "hair style": "short hair",
    "hair type": "straight",
    "hair color": "black",
    "facial details": "none",
    "body shape": "average build",
    "pose": "standing",
    "activity": "none",
    "facial expression": "neutral face",
    "emotion": "calm",
    "upper body": "green t-shirt",
    "lower body": "navy trousers",
    "shoes": "white sneakers",
    "hat": "none",
    "glasses": "none",
    "jewelry": "none",
    "carried items": "none",
}
BASE = sample_record(fixed=PLAIN).values
LUMA = np.array([0.299, 0.587, 0.114])


class Look:
    """A person of a record, turned to the camera (or by `yaw_deg`), and what one sees of it."""

    def __init__(self, changes=None, *, seed=5, yaw_deg=0.0, turn=True):
        values = BASE | (changes or {})
        self.person = make_person(AttributeRecord(0, 0, values), seed)
        if turn:
            pose = self.person.pose.clone()
            pose[0] = torch.tensor([0.0, np.deg2rad(yaw_deg), 0.0])
            self.person = replace(self.person, pose=pose)
        p = self.person
        out = load_body()(p.betas, p.pose, p.transl)
        self.joints, self.vertices = out.joints.numpy(), out.vertices[:13380].numpy()
        eyes = self.joints[[23, 24]].mean(0)
        head = self.vertices[np.abs(self.vertices[:, 0] - eyes[0]) < 0.1]
        self.points = {
            "eyes": eyes,
            "eye": self.joints[23],
            "cheek": self.joints[23] + [0.008, -0.04, 0],
            "lip": eyes + [0, -0.052, 0],
            "mouth": eyes + [0, -0.068, 0],
            "chin": eyes + [0, -0.105, 0],
            "crown": head[head[:, 1].argmax()] - [0, 0.02, 0],
            "torso": self.joints[9],
            "upper arm": self.joints[[16, 18]].mean(0),
            "forearm": self.joints[[18, 20]].mean(0),
            "thigh": self.joints[1] * 0.35 + self.joints[4] * 0.65,
            "shin": self.joints[[4, 7]].mean(0),
            "above ankle": self.joints[4] * 0.2 + self.joints[7] * 0.8,
            "foot": self.joints[10],
            "head": self.joints[15] + [0, 0.08, 0],
            "neck": self.joints[12],
            "body": (self.vertices.min(0) + self.vertices.max(0)) / 2,
        }

    def zoom(self, place, half_m, px=48):
        """(rgb, alpha) of a square around a place of the body, on white, in [0, 1]."""
        camera = self.person.photo_camera
        point = torch.as_tensor(self.points[place], dtype=torch.float32)
        x, y, z = (camera.viewmats[0, :3, :3] @ point + camera.viewmats[0, :3, 3]).tolist()
        f = px / 2 * z / half_m
        K = torch.tensor([[[f, 0, px / 2 - f * x / z], [0, f, px / 2 - f * y / z], [0, 0, 1.0]]])
        views = render_person(self.person, Cameras(camera.viewmats, K, px, px), supersample=2)
        return views.rgb[0].numpy(), views.alpha[0, ..., 0].numpy()

    def color(self, place, half_m=0.012):
        """Median colour of a patch of about two centimetres, in [0, 1]."""
        rgb, alpha = self.zoom(place, half_m, 12)
        return np.median(rgb[alpha > 0.5].reshape(-1, 3), axis=0)

    def brightness(self, place, half_m=0.012):
        return float(self.color(place, half_m) @ LUMA)

    def is_skin(self, place):
        """True if a patch has the hue of the cheek, whatever the light on it."""
        a, b = (c / np.linalg.norm(c) for c in (self.color(place), self.color("cheek", 0.006)))
        return float(a @ b) > 0.985

    def area(self, place, half_m, px=64):
        """Covered share of a square around a place."""
        return float(self.zoom(place, half_m, px)[1].mean())

    def hair_area(self, place, half_m):
        """Share of a square that has the colour of ginger hair, which nothing else here has."""
        rgb, alpha = self.zoom(place, half_m, 64)
        red, green, blue = np.moveaxis(rgb, -1, 0)
        return float(((alpha > 0.5) & (red > 1.5 * green) & (red > 2.3 * blue)).mean())
