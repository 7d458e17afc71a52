"""docs/img/text2avatar.jpg: six sentences, the picture that is drawn of each, and the avatar.

    python -m tools.upkeep.text_sheet

Runs lie in runs/text_sheet and are resumed. Takes about three minutes on two idle cores.
"""

import textwrap
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.dataset.text_to_avatar import text_to_avatar
from toolkit.pipeline import AvatarResult
from toolkit.run.files import atomic_path
from toolkit.run.progress import Progress, silent
from toolkit.show.export import to_uint8
from toolkit.show.style import figure, figure_pixels
from tools.command import run

ROOT = Path(__file__).resolve().parents[2]
RUNS, SHEET = ROOT / "runs" / "text_sheet", ROOT / "docs" / "img" / "text2avatar.jpg"
SENTENCES = (  # together they name every kind of attribute that is drawn
    "a woman in her thirties in a green hoodie",
    "a bald, heavy-set Black man in a yellow t-shirt and navy shorts, hands on his hips",
    "an elderly white woman with long grey hair, in a red dress and boots, no hat",
    "a young Asian man with round glasses, a blue polo shirt, beige trousers, arms raised",
    "a man in his forties with a full black beard, a white sweater and an orange beanie",
    "a slim Latina with a blond ponytail and sunglasses, laughing, in a purple tank top and jeans",
)
WIDTH, ROW_PX = 1000, 240
VIEWS = (0.0, 0.25, 0.5)  # of the refined turntable: front, side, back


def make_sheet(seed: int = 0) -> None:
    """Make the six avatars and their sheet.

    Args:
        seed: of what the first sentence leaves open; the next ones take the next seeds.
    """
    results = []
    with Progress("sentences", len(SENTENCES)) as advance:
        for number, sentence in enumerate(SENTENCES):
            with silent():
                out = RUNS / f"{number}"
                results.append(text_to_avatar(sentence, out, seed=seed + number, resume=True))
            advance()
    draw(results)


def draw(results: list[AvatarResult]) -> None:
    """One row per sentence: the words, the picture, and three views of the avatar."""
    canvas = figure(WIDTH, ROW_PX * len(results))
    widths = [1.1, *[0.6] * (1 + len(VIEWS))]
    layout = {"left": 0.02, "right": 0.99, "bottom": 0.01, "top": 0.97, "wspace": 0, "hspace": 0.02}
    axes = canvas.subplots(
        len(results), len(widths), squeeze=False, width_ratios=widths, gridspec_kw=layout
    )
    for row, result in zip(axes, results, strict=True):
        for cell in row:
            cell.axis("off")
        text = textwrap.fill(result.report["description"]["text"], 30)
        row[0].text(0, 0.5, text, va="center", fontsize=11, transform=row[0].transAxes)
        photo = np.asarray(Image.open(result.out_dir / "photo.png"))
        side = photo.shape[1] // 5  # of the place to the left and right of the person
        row[1].imshow(photo[:, side:-side])
        frames = result.refined_clip
        for cell, share in zip(row[2:], VIEWS, strict=True):
            cell.imshow(to_uint8(frames[round(share * (len(frames) - 1))].numpy()))
    for cell, title in zip(axes[0], ("", "picture", "front", "side", "back"), strict=True):
        cell.set_title(title, fontsize=11)
    with atomic_path(SHEET) as tmp:
        Image.fromarray(figure_pixels(canvas)).save(tmp, quality=85)


if __name__ == "__main__":
    raise SystemExit(run(make_sheet))
