"""What a notebook shows: pictures in a row, and a turntable to drag.

The turntable's slider is linked to the frames inside the page, not through the kernel, so that it
also works in a saved notebook.
"""

import io

import numpy as np
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.show.export import to_uint8


def picture_row(*pictures, height_px: int, gap_px: int = 6):
    """Pictures (H,W,3) in [0, 1] side by side at one height, as a PIL image."""
    from PIL import Image

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
    clips: dict[str, Float[Tensor, "T H W 3"]], azimuths_deg, *, height_px: int = 384
):
    """Clips side by side, turned together by one slider.

    Args:
        clips: title -> frames in [0, 1]; all of one length.
        azimuths_deg: of the frames; shown under the slider.
        height_px: of the pictures on the page.
    """
    import ipywidgets as widgets

    lengths = {len(clip) for clip in clips.values()}
    if lengths != {len(azimuths_deg)}:
        fail(
            "turntable_widget",
            got=f"clips of {sorted(lengths)} frames",
            wanted=f"{len(azimuths_deg)}, one an azimuth",
            fix="Render all clips on one orbit.",
        )
    play = widgets.Play(value=0, max=len(azimuths_deg) - 1, interval=150, repeat=True)
    bar = widgets.IntSlider(value=0, max=len(azimuths_deg) - 1, description="view", readout=False)
    angle = widgets.Stack(
        [widgets.Label(f"azimuth {float(a):.0f}°") for a in azimuths_deg], selected_index=0
    )
    columns = []
    for title, clip in clips.items():
        frames = widgets.Stack([_frame(picture, height_px) for picture in clip], selected_index=0)
        widgets.jslink((bar, "value"), (frames, "selected_index"))
        columns.append(widgets.VBox([widgets.Label(title), frames]))
    widgets.jslink((play, "value"), (bar, "value"))
    widgets.jslink((bar, "value"), (angle, "selected_index"))
    return widgets.VBox([widgets.HBox(columns), widgets.HBox([play, bar, angle])])


def _frame(picture, height_px: int):
    import ipywidgets as widgets
    from PIL import Image

    pixels = np.asarray(to_uint8(picture))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="webp", quality=80)
    width_px = round(height_px * pixels.shape[1] / pixels.shape[0])
    return widgets.Image(value=file.getvalue(), format="webp", height=height_px, width=width_px)
