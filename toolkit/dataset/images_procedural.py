"""Pictures of procedural people: free of any licence, and with exact geometry."""

from dataclasses import dataclass

from toolkit.dataset.images import Drawing, ImageRecord, Truth
from toolkit.dataset.person_of_record import keeps_top_color, make_person, plan_person
from toolkit.dataset.prompts import PromptRecord
from toolkit.people.draw.photo import photo_of


@dataclass(frozen=True)
class ProceduralImages:
    """Renders the attributes behind a prompt; the prompt's text is not read.

    Attributes:
        size: (height, width) in pixels.
        split: "train", "val" or "test": whose seeds and prints are used.
        supersample: samples per pixel along each axis, 1..4.
    """

    size: tuple[int, int] = (512, 512)
    split: str = "train"
    supersample: int = 3

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing:
        """Draw the person in front of a procedural place.

        Args:
            prompt: its attributes are drawn.
            seed: fills what the attributes leave open; 0 .. 999999.

        Returns:
            The picture with its truth; its record lists the attributes that it does not show.
        """
        attributes = prompt.attribute_record
        person = make_person(attributes, seed, split=self.split)
        image, views = photo_of(person, self.size, supersample=self.supersample)
        ignored = plan_person(attributes).ignored
        # the renderer changes the colour of a top that would look like bare skin
        ignored += () if keeps_top_color(person) else ("upper body",)
        record = ImageRecord(
            prompt,
            "procedural people",
            "this repository",
            "CC0-1.0",
            seed,
            self.size,
            {"split": self.split, "supersample": self.supersample},
            ignored,
        )
        return Drawing(image, record, Truth(person, views))
