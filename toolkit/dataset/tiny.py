"""Chat models and image pipelines in miniature: the real classes with random weights.

They are built offline in a second, for tests and dry runs. Their answers are noise: they test
shapes, seeds and calls, but say nothing about the quality of a text or a picture.
"""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, FluxPipeline, ZImagePipeline
    from transformers import CLIPTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast, T5Tokenizer

TEXTS = [  # the tokenizers learn their few merges from these
    "A full body photograph of a woman in a red hoodie, head to toe, in a park.",
    "You write prompts for a text-to-image model. Answer with the prompt only.",
]
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }} {{ date_string }}\n"
    "{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n"
    "{% endif %}"
)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def byte_tokenizer(template: str | None = None, size: int = 400) -> "PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer with a chat template, like those of Llama 3 and Qwen.

    Args:
        template: the chat template (Jinja), or None for a base model's tokenizer.
        size: number of tokens, > 256 bytes and the four special ones.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    special = ["<|bos|>", "<|end|>", "<|pad|>", "<|start|>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=size, special_tokens=special, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        bos_token="<|bos|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|start|>"],
        padding_side="left",
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_llama(
    template: str = LLAMA_TEMPLATE,
) -> "tuple[LlamaForCausalLM, PreTrainedTokenizerFast]":
    """A Llama of two layers, and its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer(template)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval(), tokenizer


def clip_tokenizer() -> "CLIPTokenizer":
    """A tokenizer over bytes, like that of CLIP-L."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=600,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    vocabulary = trained.get_vocab(with_added_tokens=False)
    for symbol in [*alphabet, *(c + "</w>" for c in alphabet), "<|startoftext|>", "<|endoftext|>"]:
        vocabulary.setdefault(symbol, len(vocabulary))
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer() -> "T5Tokenizer":
    """A tokenizer over a unigram vocabulary, like that of T5."""
    import json

    from tokenizers import SentencePieceUnigramTokenizer
    from transformers import T5Tokenizer

    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        TEXTS,
        vocab_size=120,
        show_progress=False,
        unk_token="<unk>",
        special_tokens=["<pad>", "</s>", "<unk>"],
    )
    pieces = json.loads(trained._tokenizer.to_str())["model"]["vocab"]
    return T5Tokenizer(vocab=[tuple(piece) for piece in pieces], extra_ids=0)


def tiny_vae() -> "AutoencoderKL":
    """A VAE with 4 latent channels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.36,
        shift_factor=0.11,
    )


def tiny_flux() -> "FluxPipeline":
    """A pipeline of the class that FLUX.1-dev uses."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    clip, t5 = clip_tokenizer(), t5_tokenizer()
    torch.manual_seed(0)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
        ),
        vae=tiny_vae(),
        tokenizer=clip,
        tokenizer_2=t5,
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(clip),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                projection_dim=16,
                eos_token_id=clip.eos_token_id,
                bos_token_id=clip.bos_token_id,
                pad_token_id=clip.pad_token_id,
            )
        ).eval(),
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ).eval(),
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ).eval(),
    )


def tiny_z_image() -> "ZImagePipeline":
    """A pipeline of the class that Z-Image-Turbo uses (Apache-2.0)."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = byte_tokenizer(CHAT_TEMPLATE)
    tokenizer.padding_side = "right"
    torch.manual_seed(0)
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
        )
    ).eval()
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 64, 64],
    ).eval()
    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            if "pad_token" in name:  # made by torch.empty: a checkpoint would fill it
                weight.normal_()
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_vae(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )
