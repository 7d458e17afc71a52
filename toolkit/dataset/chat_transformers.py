"""A chat model of transformers that runs on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.dataset.chat import Messages, strip_thinking
from toolkit.errors import fail
from toolkit.weights.search import require
from toolkit.weights.table import WEIGHTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MODEL = "llama-3.3-70b"  # the paper's; "qwen2.5-7b" and "smollm2-1.7b" are small and free
DATE = "26 Jul 2024"  # Llama's template would print today's date, and prompts would depend on it


class TransformersChat:
    """A causal language model of transformers, called through its own chat template."""

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        *,
        name: str,
        revision: str = "local",
        max_new_tokens: int = 220,
        temperature: float = 0.8,
    ):
        """Wrap a loaded model.

        Args:
            model: a causal language model, that is one with `generate`.
            tokenizer: the model's tokenizer; it must have a chat template.
            name: of the model, for the records.
            revision: of the weights, for the records.
            max_new_tokens: upper limit for one answer.
            temperature: of sampling, >= 0; 0 always takes the most likely token.

        Raises:
            InputError: the tokenizer has no chat template.
        """
        if not tokenizer.chat_template:
            fail(
                f"Model {name}",
                got="a tokenizer without a chat template",
                wanted="a chat (instruct) model",
                fix="Use the -Instruct or -Chat version of this model.",
            )
        self.model, self.tokenizer = model.eval(), tokenizer
        self.name, self.revision = name, revision
        self.options = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
        if temperature > 0:
            self.options |= {"temperature": temperature, "top_p": 0.95}
        # Llama has no padding token. One conversation needs no padding, but `generate` would warn.
        pad = tokenizer.pad_token_id
        self.options["pad_token_id"] = tokenizer.eos_token_id if pad is None else pad

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        dtype: str = "bfloat16",
        device_map: str = "auto",
        **options: object,
    ) -> "TransformersChat":
        """Load a model by its name in `toolkit.weights.table`, or from a local folder.

        Nothing is downloaded.

        Args:
            model: e.g. "qwen2.5-7b", or the path of a folder that `save_pretrained` wrote.
            dtype: of the weights.
            device_map: as in accelerate; "auto" spreads the layers over GPUs and memory.
            options: further arguments of `__init__`.

        Raises:
            MissingFileError: the weights are not here; the message says how to get them.
            InputError: neither a folder nor a name in the table.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = require(model) if model in WEIGHTS or not Path(model).is_dir() else Path(model)
        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map=device_map, local_files_only=True, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        weight = WEIGHTS.get(model)  # None for a local folder
        return cls(
            network,
            tokenizer,
            name=weight.source if weight else Path(model).name,
            revision=weight.pin if weight else "local",
            **options,
        )

    def __call__(self, messages: Messages, *, seed: int) -> str:
        """Answer the conversation.

        Args:
            messages: the conversation, oldest first.
            seed: of the sampling; torch's global random state is left as it was.

        Returns:
            The answer, without a reasoning model's <think> blocks.
        """
        import torch

        inputs = self.tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=True,  # ends with "assistant:", so that the model answers
            return_dict=True,
            return_tensors="pt",
            date_string=DATE,
        ).to(self.model.device)
        # `generate` takes no generator: it draws from the global one, so we fork and seed that
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            output = self.model.generate(**inputs, **self.options)  # (1, prompt + answer) tokens
        answer = output[0, inputs["input_ids"].shape[1] :]
        return strip_thinking(self.tokenizer.decode(answer, skip_special_tokens=True))
