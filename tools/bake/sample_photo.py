"""Photograph the sample person: data/samples/person.jpg and its truth, person.json.

python -m tools.bake.sample_photo
"""

import json

from PIL import Image

from toolkit.people.draw.photo import photo_camera, photo_of
from toolkit.people.sample import sample_person
from toolkit.run.files import DATA_DIR, atomic_path
from tools.command import run

SEED, SPLIT = 1, "test"  # of the test people: no net of ours has seen this outfit
SIZE = (1024, 768)  # height and width, pixels


def main() -> None:
    """Write the photo, and the body and camera it shows; the same code gives the same files."""
    person = sample_person(SEED, SPLIT)
    photo, _ = photo_of(person, SIZE)
    camera = photo_camera(person.photo_camera, SIZE)
    truth = {
        "seed": person.seed,
        "split": person.split,
        "attributes": person.attributes,
        "size": SIZE,
        "K": camera.Ks[0].tolist(),
        "viewmat": camera.viewmats[0].tolist(),
        "betas": person.betas.tolist(),
        "transl": person.transl.tolist(),
        "pose": person.pose.tolist(),
        "expression": person.expression.tolist(),
    }
    with atomic_path(DATA_DIR / "samples" / "person.jpg") as path:
        Image.fromarray(photo).save(path, quality=92)
    with atomic_path(DATA_DIR / "samples" / "person.json") as path:
        path.write_text(json.dumps(truth))


if __name__ == "__main__":
    raise SystemExit(run(main))
