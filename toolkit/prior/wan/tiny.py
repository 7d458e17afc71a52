"""Wan2.1 in miniature: every class real, every weight random, some 100 thousand parameters.

The folders have the layout of the published ones, so that loading, shapes, seeds and noise levels
can be tried on any machine. The output is noise: it says nothing about the quality of Wan.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from toolkit.errors import fail
from toolkit.prior.wan.encoders import EMBEDDING

TINY_TRANSFORMER = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 48,
    "num_layers": 2,
    "rope_max_seq_len": 64,
}
TINY_VAE = {
    "base_dim": 8,
    "z_dim": 16,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}
TINY_TEXT = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 37,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.1,
}
TINY_CLIP = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "projection_dim": 8,
    "patch_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
}
SENTENCES = [  # the tokenizer's vocabulary is learnt from these
    "a full body photo of one person standing on a plain white background",
    "turntable video, studio light, sharp detail",
    "blurry, deformed, watermark, extra limbs",
]


def write_tiny_wan(folder: str | Path, kind: str = "t2v", *, seed: int = 0) -> Path:
    """Build a tiny random pipeline and save it as the hub stores the real one.

    Args:
        folder: created if it does not exist; about 0.6 MB are written into it.
        kind: "t2v" (text to video) or "i2v" (also sees the first frame).
        seed: of the weights.

    Returns:
        The folder.
    """
    if kind not in ("t2v", "i2v"):
        fail("kind", got=repr(kind), wanted='"t2v" or "i2v"', fix="Try t2v.")
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanImageToVideoPipeline,
        WanPipeline,
        WanTransformer3DModel,
    )

    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not touched
        torch.manual_seed(seed)
        parts = {
            "tokenizer": tokenizer,
            "text_encoder": _text_encoder(len(tokenizer)),
            "vae": AutoencoderKLWan(**TINY_VAE).eval(),
            "scheduler": UniPCMultistepScheduler(
                prediction_type="flow_prediction",
                use_flow_sigmas=True,
                num_train_timesteps=1000,
                flow_shift=3.0,
            ),
        }
        if kind == "t2v":
            transformer = WanTransformer3DModel(**TINY_TRANSFORMER)
            pipeline = WanPipeline(transformer=_with_larger_weights(transformer), **parts)
        else:
            transformer = WanTransformer3DModel(
                **TINY_TRANSFORMER
                | {
                    "in_channels": 36,
                    "image_dim": TINY_CLIP["hidden_size"],
                    "added_kv_proj_dim": 24,
                }
            )
            pipeline = WanImageToVideoPipeline(
                transformer=_with_larger_weights(transformer), **parts, **_clip()
            )
    pipeline.save_pretrained(folder, safe_serialization=True)
    _save_text_encoder_as_published(Path(folder) / "text_encoder", parts["text_encoder"])
    return Path(folder)


def _save_text_encoder_as_published(folder: Path, encoder: nn.Module) -> None:
    """Rewrite UMT5's two files as google/umt5-xxl's are, which all Wan2.1 folders contain.

    The published config says that embeddings are not tied, and yet the file holds one table for
    both, `shared.weight`. transformers 5.2.0 believed the config and left the encoder's own table
    empty (their issue 43992), and a file in the library's own style would not have shown it.
    """
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": False}))
    state = {key: w for key, w in encoder.state_dict().items() if key != EMBEDDING}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _with_larger_weights(transformer: nn.Module) -> nn.Module:
    """Enlarge the weights: at their initial size, text and time would hardly change the output."""
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.mul_(1.5)
    return transformer.eval()


def _text_encoder(vocab_size: int) -> nn.Module:
    from transformers import UMT5Config, UMT5EncoderModel

    # eval: transformers' encoders have dropout, and a model built from a config is in train mode
    return UMT5EncoderModel(UMT5Config(vocab_size=vocab_size, **TINY_TEXT)).eval()


def _clip() -> dict:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    return {
        "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY_CLIP)).eval(),
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    }


def _tokenizer():
    """A T5 tokenizer over a unigram vocabulary trained on the spot; needs no file and no hub."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import T5Tokenizer

    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=96,
            special_tokens=["<pad>", "</s>", "<unk>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    vocab = [tuple(pair) for pair in json.loads(unigram.to_str())["model"]["vocab"]]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=512)
