"""Wan2.1's two encoders: UMT5 for the prompt, CLIP for the first frame of an I2V model.

UMT5 is loaded, used and freed; CLIP stays on the CPU. So the GPU's memory is left for the
transformer.
"""

import gc
import html
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import MissingCapabilityError, fail
from toolkit.prior.wan.files import read_part

EMBEDDING = "encoder.embed_tokens.weight"  # UMT5's table of tokens; files hold `shared.weight` only
TEXT_TOKENS = 512  # the I2V transformer splits text from picture tokens at this fixed number


def embed_text(
    folder: Path, texts: list[str], device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Float[Tensor, "N 512 D"]:
    """Load UMT5, embed the texts, free it again; positions after a text's end are zero.

    Args:
        folder: of the checkpoint.
        texts: prompts of at most 512 tokens each.
        device: on which UMT5 runs; the result is on the CPU.
        dtype: of UMT5's weights and of the result.

    Raises:
        InputError: a text of more than 512 tokens, which would be cut off silently.
    """
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    tokens = tokenizer(
        [clean_text(text) for text in texts],
        padding="max_length",
        max_length=TEXT_TOKENS,
        return_tensors="pt",
    )
    if tokens.input_ids.shape[1] > TEXT_TOKENS:
        fail(
            "prompt",
            got=f"{tokens.input_ids.shape[1]} tokens",
            wanted=f"at most {TEXT_TOKENS}",
            fix="Shorten it: the transformer would never see the rest.",
        )
    encoder = read_part(UMT5EncoderModel, folder / "text_encoder", dtype, tied=(EMBEDDING,))
    _check_embeddings(encoder)
    encoder.to(device)
    mask = tokens.attention_mask.to(device)  # (N,512), 1 on tokens, 0 on padding
    with torch.no_grad():
        states = encoder(tokens.input_ids.to(device), mask).last_hidden_state
    embedded = (states * mask[..., None]).cpu()  # diffusers pads with zeros, not with UMT5's output
    del encoder, states  # the last references: 11 GB at the published size
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return embedded


def _check_embeddings(encoder: torch.nn.Module) -> None:
    """Refuse a UMT5 whose prompts would all be the same: a library that left its table empty.

    Raises:
        MissingCapabilityError: the encoder does not read the table of tokens in the file.
    """
    used, stored = encoder.encoder.embed_tokens.weight, encoder.shared.weight
    rows = slice(0, None, max(1, len(stored) // 1000))  # 256 thousand rows at the real size
    if not torch.equal(used[rows], stored[rows]):
        import transformers

        fail(
            "text encoder UMT5",
            got=f"a table of tokens that transformers {transformers.__version__} did not fill",
            wanted="the table of the file, shared.weight",
            fix="pip install 'transformers>=5.3,<6'",
            kind=MissingCapabilityError,
        )


def clean_text(text: str) -> str:
    """What diffusers does to a prompt: mend its encoding, resolve HTML entities, merge spaces.

    Raises:
        MissingCapabilityError: the text is not plain ASCII, and the package ftfy is missing.
    """
    if not text.isascii():
        try:
            from ftfy import fix_text
        except ImportError:
            fail(
                "prompt",
                got="letters beyond ASCII",
                wanted="the package ftfy to clean them",
                fix="pip install ftfy",
                kind=MissingCapabilityError,
            )
        text = fix_text(text)
    # twice, as in diffusers: "&amp;lt;" is "<" that was escaped two times
    return re.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip()


@dataclass(frozen=True)
class ImageEncoder:
    """CLIP's vision model with its preprocessing, on the CPU: it sees one picture per clip."""

    model: torch.nn.Module
    processor: object

    @classmethod
    def load(cls, folder: Path, name: str | None) -> "ImageEncoder":
        """The encoder of an I2V checkpoint.

        Args:
            folder: of the checkpoint.
            name: its class in model_index.json; None if there is none.

        Raises:
            InputError: another class.
        """
        import transformers

        if name not in ("CLIPVisionModel", "CLIPVisionModelWithProjection"):
            fail(
                f"{folder}/model_index.json",
                got=f"image encoder {name}",
                wanted="CLIP's vision model",
                fix="Fetch the checkpoint anew.",
            )
        model = read_part(getattr(transformers, name), folder / "image_encoder", torch.float32)
        return cls(
            model, transformers.CLIPImageProcessor.from_pretrained(folder / "image_processor")
        )

    def __call__(self, picture: Float[Tensor, "1 3 H W"]) -> Float[Tensor, "1 P E"]:
        """Tokens of a picture in [-1, 1], from the last layer but one."""
        from PIL import Image

        pixels = ((picture[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte()
        inputs = self.processor(images=Image.fromarray(pixels.cpu().numpy()), return_tensors="pt")
        with torch.no_grad():  # hidden_states[-1] would be the last layer
            return self.model(**inputs, output_hidden_states=True).hidden_states[-2]
