"""Pictures: procedural people with their truth; tiny diffusers pipelines of the real classes."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.dataset.draws import sample_record
from toolkit.dataset.images import ImageRecord
from toolkit.dataset.images_diffusers import PRESETS, DiffusionImages, Preset, load_pipeline
from toolkit.dataset.images_procedural import ProceduralImages
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.dataset.tiny import tiny_flux, tiny_z_image
from toolkit.errors import InputError, MissingCapabilityError, MissingFileError
from toolkit.weights.table import WEIGHTS

PROMPT, OTHER = (TemplateWriter().write(sample_record(index)) for index in (3, 4))
BUILD = {"flux.1-dev": tiny_flux, "z-image-turbo": tiny_z_image}


def mean_difference(a, b) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.fixture(scope="module")
def people():
    maker = ProceduralImages((96, 96), supersample=2)
    return maker, maker.draw(PROMPT, seed=5)


@pytest.fixture(scope="module", params=BUILD)
def tiny(request):
    preset = replace(PRESETS[request.param], steps=2, size=(48, 32))
    return DiffusionImages(BUILD[request.param](), preset, name="tiny", licence="none")


def test_people_are_drawn_with_their_truth(people):
    _, drawing = people
    assert drawing.image.shape == (96, 96, 3) and drawing.image.dtype == np.uint8
    alpha = drawing.truth.views.alpha[0, ..., 0].numpy()
    assert 0.03 < alpha.mean() < 0.5
    assert not alpha[[0, -1]].any() and not alpha[:, [0, -1]].any(), "the whole body is inside"
    inside = alpha == 1
    shown = drawing.image[inside] / 255
    assert np.abs(shown - drawing.truth.views.rgb[0].numpy()[inside]).mean() < 0.08


def test_people_follow_the_attributes(people):
    _, drawing = people
    person = drawing.truth.person
    assert person.attributes["gender"] == PROMPT.values["gender"]
    assert PROMPT.values["upper body"].startswith(person.attributes["top_color"])
    assert "occupation" not in person.attributes
    assert set(drawing.record.ignored) <= set(PROMPT.attribute_record.required)


def test_people_are_seeded(people):
    maker, drawing = people
    assert np.array_equal(maker.draw(PROMPT, seed=5).image, drawing.image)
    assert mean_difference(maker.draw(PROMPT, seed=6).image, drawing.image) > 2
    assert mean_difference(maker.draw(OTHER, seed=5).image, drawing.image) > 2


def test_saved_files_hold_everything(people, tmp_path):
    _, drawing = people
    path = drawing.save(tmp_path, "000003")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000003.json", "000003.npz", "000003.png"]
    assert np.array_equal(np.asarray(Image.open(path)), drawing.image)
    record = ImageRecord.from_json(json.loads((tmp_path / "000003.json").read_text()))
    assert record == drawing.record and record.prompt == PROMPT
    with np.load(tmp_path / "000003.npz", allow_pickle=False) as truth:
        assert np.array_equal(truth["pose"], drawing.truth.person.pose.numpy())
        depth, K, viewmat = truth["depth"], truth["K"], truth["viewmat"]
    rows, columns = np.nonzero(depth)
    z = depth[rows, columns]
    camera = np.stack(
        [(columns + 0.5 - K[0, 2]) * z / K[0, 0], (rows + 0.5 - K[1, 2]) * z / K[1, 1], z], axis=1
    )
    world = (camera - viewmat[:3, 3]) @ viewmat[:3, :3]
    assert np.abs(world).max() < 1.4 and np.ptp(world[:, 1]) > 1.3  # a standing adult, in metres


def test_diffusion_draws_what_it_is_asked_for(tiny):
    drawing = tiny.draw(PROMPT, seed=1)
    assert drawing.image.shape == (48, 32, 3) and drawing.image.dtype == np.uint8
    assert drawing.truth is None and drawing.record.model == "tiny"
    assert drawing.record.options["num_inference_steps"] == 2
    assert np.array_equal(tiny.draw(PROMPT, seed=1).image, drawing.image)


def test_seed_and_prompt_reach_the_pipeline(tiny):
    first = tiny.draw(PROMPT, seed=1).image
    assert mean_difference(tiny.draw(PROMPT, seed=2).image, first) > 1
    assert not np.array_equal(tiny.draw(OTHER, seed=1).image, first)


def test_record_round_trip(tiny):
    record = tiny.draw(PROMPT, seed=1).record
    assert ImageRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_folder_round_trip(tiny, tmp_path):
    tiny.pipeline.save_pretrained(tmp_path)
    again = DiffusionImages(load_pipeline(tmp_path, "float32"), tiny.preset, name="again")
    saved, loaded, other = (
        maker.draw(PROMPT, seed=seed).image.astype(int)
        for maker, seed in ((tiny, 1), (again, 1), (tiny, 2))
    )
    # weights read from a file lie at other addresses in memory, and float32 products take other
    # vector loads there: the last bits differ, which moves a few pixels by one level of 255
    assert np.abs(loaded - saved).max() <= 1 and (loaded != saved).mean() < 0.02
    assert np.abs(other - saved).mean() > 5


def test_pickled_weights_are_not_loaded(tmp_path):
    pipeline = tiny_z_image()
    pipeline.save_pretrained(tmp_path, safe_serialization=False)
    assert not list((tmp_path / "vae").glob("*.safetensors"))
    with pytest.raises(OSError):
        load_pipeline(tmp_path, "float32")


class Fake:
    """A pipeline whose pictures are given; it takes only some of the usual arguments."""

    def __init__(self, image):
        self.image, self.asked = image, {}

    def __call__(self, prompt, height, width, num_inference_steps, generator, output_type):
        self.asked = {"prompt": prompt, "size": (height, width), "steps": num_inference_steps}
        return SimpleNamespace(images=self.image[None])

    def set_progress_bar_config(self, **_):
        pass


def test_only_known_arguments_are_passed():
    fake = Fake(np.random.default_rng(0).random((32, 16, 3)))
    maker = DiffusionImages(fake, Preset("x", 7, 3.0, size=(32, 16)), name="f")
    drawing = maker.draw(PROMPT, seed=0)
    assert fake.asked == {"prompt": PROMPT.text, "size": (32, 16), "steps": 7}
    assert drawing.record.options == {"num_inference_steps": 7}


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_blank_picture_is_an_error(value):
    maker = DiffusionImages(
        Fake(np.full((32, 16, 3), value)), Preset("x", 1, 0, size=(32, 16)), name="f"
    )
    with pytest.raises(InputError, match="flat colour"):
        maker.draw(PROMPT, seed=0)


def test_image_to_image_pipeline_is_refused():
    def edit(image, prompt, height, width, num_inference_steps):
        pass

    with pytest.raises(InputError, match="text-to-image"):
        DiffusionImages(SimpleNamespace(__call__=edit), Preset("x", 1, 0), name="f")


def test_odd_size_is_refused():
    with pytest.raises(InputError, match="multiples of 16"):
        DiffusionImages(Fake(None), Preset("x", 1, 0, size=(500, 500)), name="f")


def test_presets_name_weights_and_free_ones_are_there():
    assert {WEIGHTS[name].stage for name in PRESETS} == {"images"}
    assert sum(WEIGHTS[name].licence == "Apache-2.0" for name in PRESETS) >= 2
    assert not [p for p in PRESETS.values() if p.size[0] % 16 or p.size[1] % 16]


def test_loading_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingFileError, match="hf download black-forest-labs/FLUX.1-dev"):
        DiffusionImages.load("flux.1-dev", device="cpu")
    with pytest.raises(InputError, match="flux.1-schnell"):
        DiffusionImages.load("dall-e")
    if not torch.cuda.is_available():
        with pytest.raises(MissingCapabilityError, match="CUDA"):
            DiffusionImages.load("flux.1-schnell")


def test_preset_is_loaded_from_the_weights_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    tiny_z_image().save_pretrained(tmp_path / "z-image-turbo")
    maker = DiffusionImages.load("z-image-turbo", device="cpu", dtype="float32")
    assert maker.name == "Tongyi-MAI/Z-Image-Turbo" and maker.licence == "Apache-2.0"
    assert maker.revision == WEIGHTS["z-image-turbo"].revision
    assert type(maker.pipeline).__name__ == "ZImagePipeline"
