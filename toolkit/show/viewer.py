"""What a notebook shows: pictures in a row, and a turntable to drag.

The turntable's slider is linked to the frames inside the page, not through the kernel, so that it
also works in a saved notebook.
"""

import io
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from jaxtyping import Float, Real
from PIL import Image
from torch import Tensor

from toolkit.errors import fail
from toolkit.show.export import Array, to_uint8


def picture_row(*pictures: Real[Array, "H W 3"], height_px: int, gap_px: int = 6) -> Image.Image:
    """Pictures side by side at one height; each keeps its aspect ratio.

    Args:
        pictures: floats in [0, 1] or uint8, of any sizes.
        height_px: of the row.
        gap_px: of white between two pictures.
    """
    tiles = [Image.fromarray(np.asarray(to_uint8(picture))) for picture in pictures]
    tiles = [
        t.resize((round(height_px * t.width / t.height), height_px), Image.Resampling.LANCZOS)
        for t in tiles
    ]
    row = Image.new("RGB", (sum(t.width + gap_px for t in tiles) - gap_px, height_px), "white")
    left = 0
    for tile in tiles:
        row.paste(tile, (left, 0))
        left += tile.width + gap_px
    return row


def turntable_widget(
    clips: dict[str, Float[Tensor, "T H W 3"]],
    azimuths_deg: Sequence[float] | Float[Tensor, " T"],
    *,
    height_px: int = 384,
) -> widgets.VBox:
    """Clips side by side, turned together by one slider.

    Args:
        clips: title -> frames in [0, 1]; all of one length.
        azimuths_deg: of the frames; shown beside the slider.
        height_px: of the pictures on the page.

    Raises:
        InputError: a clip has more or fewer frames than there are azimuths.
    """
    lengths = {len(clip) for clip in clips.values()}
    if lengths != {len(azimuths_deg)}:
        fail(
            "turntable_widget",
            got=f"clips of {sorted(lengths)} frames",
            wanted=f"{len(azimuths_deg)}, one per azimuth",
            fix="Render all clips on one orbit.",
        )
    play = widgets.Play(value=0, max=len(azimuths_deg) - 1, interval=150, repeat=True)
    slider = widgets.IntSlider(
        value=0, max=len(azimuths_deg) - 1, description="view", readout=False
    )
    # A Stack shows one of its children, so that turning is nothing but choosing an index. `jslink`
    # connects the numbers in the browser; no Python runs when the slider moves.
    angle = widgets.Stack(
        [widgets.Label(f"azimuth {float(a):.0f}°") for a in azimuths_deg], selected_index=0
    )
    columns = []
    for title, clip in clips.items():
        frames = widgets.Stack([_frame(picture, height_px) for picture in clip], selected_index=0)
        widgets.jslink((slider, "value"), (frames, "selected_index"))
        columns.append(widgets.VBox([widgets.Label(title), frames]))
    widgets.jslink((play, "value"), (slider, "value"))
    widgets.jslink((slider, "value"), (angle, "selected_index"))
    return widgets.VBox([widgets.HBox(columns), widgets.HBox([play, slider, angle])])


def _frame(picture: Float[Tensor, "H W 3"], height_px: int) -> widgets.Image:
    """One frame as WebP, which is small: the page holds every frame of every clip."""
    pixels = np.asarray(to_uint8(picture))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="webp", quality=80)
    width_px = round(height_px * pixels.shape[1] / pixels.shape[0])
    return widgets.Image(value=file.getvalue(), format="webp", height=height_px, width=width_px)
