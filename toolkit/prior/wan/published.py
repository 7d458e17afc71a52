"""The Wan2.1 checkpoints that this code was written against, and the sizes of their networks.

Hub id, revision, size and licence of each are in the one table of weights; here is what that table
does not know: the configuration of the transformer, which tells the memory that it needs.
"""

from dataclasses import dataclass

from toolkit.weights.table import WEIGHTS
from toolkit.weights.weight import Weight

# What all published transformers share. One token is a patch of 1 frame x 2 x 2 latents.
_SHARED = {
    "patch_size": (1, 2, 2),
    "attention_head_dim": 128,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "qk_norm": "rms_norm_across_heads",
    "cross_attn_norm": True,
}
_14B = _SHARED | {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40}

# Source: google/umt5-xxl's config as copied into the text_encoder folder of all Wan2.1 checkpoints
UMT5_XXL = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "vocab_size": 256384,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 32,
}


@dataclass(frozen=True)
class WanModel:
    """A published checkpoint.

    Attributes:
        weight: its row in the table of weights: hub id, pinned revision, size of the download.
        transformer: configuration of diffusers' WanTransformer3DModel.
    """

    weight: Weight
    transformer: dict


# Source of the numbers: wan/configs/*.py of Wan-Video/Wan2.1 and diffusers' conversion script
MODELS = {
    "t2v-1.3b": WanModel(
        WEIGHTS["wan2.1-t2v-1.3b"],
        _SHARED | {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    ),
    "t2v-14b": WanModel(WEIGHTS["wan2.1-t2v-14b"], _14B),
    # 36 input channels: 16 noisy latents, 16 latents of the first frame, and 4 of a mask that says
    # which frames are known. The picture also enters as 1280-dimensional tokens of CLIP.
    "i2v-14b-480p": WanModel(
        WEIGHTS["wan2.1-i2v-14b-480p"],
        _14B | {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120},
    ),
}
