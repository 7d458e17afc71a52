"""The notebook turntable: every frame behind the slider, and links that need no kernel."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.errors import InputError
from toolkit.show.viewer import picture_row, turntable_widget


def walk(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def test_holds_every_frame_in_order():
    clip = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 24, 12, 3)
    box = turntable_widget({"coarse": clip, "refined": 1 - clip}, torch.arange(5) * 72.0)
    images = [w for w in walk(box) if isinstance(w, widgets.Image)]
    shown = [np.asarray(Image.open(io.BytesIO(w.value))).mean() / 255 for w in images]
    expected = [*torch.linspace(0, 1, 5).tolist(), *torch.linspace(1, 0, 5).tolist()]
    assert np.allclose(shown, expected, atol=0.02)


def test_slider_turns_all_clips_without_a_kernel():
    from ipywidgets.widgets.widget_link import Link

    before = set(widgets.Widget.widgets) if hasattr(widgets.Widget, "widgets") else set()
    box = turntable_widget({"a": torch.rand(5, 8, 4, 3), "b": torch.rand(5, 8, 4, 3)}, range(5))
    slider = next(w for w in walk(box) if isinstance(w, widgets.IntSlider))
    live = getattr(widgets.Widget, "widgets", None) or widgets.widgets.widget._instances
    linked = {
        w.target[0]
        for key, w in dict(live).items()
        if key not in before and isinstance(w, Link) and w.source[0] is slider
    }
    assert {w for w in walk(box) if isinstance(w, widgets.Stack)} <= linked


def test_clips_of_another_length_are_refused():
    with pytest.raises(InputError, match="one per azimuth"):
        turntable_widget({"a": torch.rand(4, 8, 4, 3)}, range(5))


def test_row_keeps_aspect_and_order():
    row = np.asarray(picture_row(torch.zeros(10, 20, 3), torch.ones(40, 20, 3), height_px=20))
    assert row.shape == (20, 40 + 6 + 10, 3)
    assert row[:, :40].max() == 0 and row[:, -10:].min() == 255
