"""Photograph the sample person: data/samples/person.jpg (python tools/make_samples.py)."""

from PIL import Image

from toolkit.assets import DATA_DIR, atomic_path
from toolkit.people.render import photo_of
from toolkit.people.sample import sample_person

SEED, SPLIT = 1, "test"  # of the test people: no net of ours has seen this outfit
SIZE = (1024, 768)  # height and width, pixels


def main() -> None:
    """Write the photo; the same code gives the same picture."""
    photo, _ = photo_of(sample_person(SEED, SPLIT), SIZE)
    with atomic_path(DATA_DIR / "samples" / "person.jpg") as path:
        Image.fromarray(photo).save(path, quality=92)


if __name__ == "__main__":
    main()
