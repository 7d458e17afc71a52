"""Write data/samples/sample_photo.png and its truth, sample_photo.json.

    python tools/people_sample.py [--seed 17] [--size 384]

The truth holds attributes, betas, pose, transl and the camera of the picture, so a fit can be
compared with it. The person is of the test split: no training has seen it.
"""

import argparse
import json

from PIL import Image

from toolkit.assets import DATA_DIR, atomic_path
from toolkit.people.photo import photo_camera, photo_of
from toolkit.people.sample import sample_person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--size", type=int, default=384, help="pixels, square")
    args = parser.parse_args()
    person, size = sample_person(args.seed, "test"), (args.size, args.size)
    photo, _ = photo_of(person, size)
    camera = photo_camera(person.photo_camera, size)
    truth = {"seed": person.seed, "split": person.split, "attributes": person.attributes,
             "size": size, "K": camera.Ks[0].tolist(), "viewmat": camera.viewmats[0].tolist(),
             "betas": person.betas.tolist(), "transl": person.transl.tolist(),
             "pose": person.pose.tolist(), "expression": person.expression.tolist()}
    with atomic_path(DATA_DIR / "samples" / "sample_photo.png") as path:
        Image.fromarray(photo).save(path, optimize=True)
    with atomic_path(DATA_DIR / "samples" / "sample_photo.json") as path:
        path.write_text(json.dumps(truth))


if __name__ == "__main__":
    main()
