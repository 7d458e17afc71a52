"""Wan2.1 as a video prior for our SDEdit: the only module that knows diffusers' video classes.

Prompts are embedded once and the text encoder, the largest part, is freed. What is left answers
`velocity(x, sigma, condition)` on latents, so that the noise, the schedule and the loop are ours.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.errors import fail
from toolkit.prior.prior import Condition
from toolkit.prior.wan.config import WanCondition, WanConfig
from toolkit.prior.wan.encoders import ImageEncoder, embed_text
from toolkit.prior.wan.files import check_wan, find_wan, fingerprint, read_part
from toolkit.prior.wan.grid import GridCodec, latent_shape
from toolkit.prior.wan.memory import Plan, choose_plan, gpu_memory_gb
from toolkit.run.device import check_device


class WanPrior(GridCodec):
    """Transformer and VAE of a Wan2.1 checkpoint, a `prior.prior.Prior`."""

    def __init__(
        self,
        transformer: nn.Module,
        vae: nn.Module,
        base: WanCondition,
        plan: Plan,
        device: str = "cpu",
    ):
        self.transformer, self.vae, self.base, self.plan = transformer, vae, base, plan
        self.device = torch.device(device)
        self.image_encoder: ImageEncoder | None = None  # I2V only
        self.close_loop, self.shift = True, 3.0  # `load` knows better, see `advice`
        self.part_on_gpu: nn.Module | None = None  # of a swapped plan
        self.fingerprint = ""  # changes with the weights and with every setting

    @classmethod
    def load(cls, config: WanConfig = WanConfig(), *, download: bool = False) -> "WanPrior":  # noqa: B008
        """Embed the prompts, free the text encoder, load the rest as the GPU's memory allows.

        Raises:
            MissingFileError: the checkpoint is not here (nothing is downloaded unless asked for).
            MissingCapabilityError: no GPU, or one that is too small.
            InputError: not Wan2.1, or a setting that does not work.
        """
        from diffusers import AutoencoderKLWan, WanTransformer3DModel

        _check(config)
        folder = find_wan(config.source, config.revision, download=download)
        facts = check_wan(folder)
        memory_gb = config.memory_gb or gpu_memory_gb(config.device)
        shape = WanTransformer3DModel.load_config(folder / "transformer")
        plan = choose_plan(memory_gb, shape, config.clip, dtype=config.dtype)
        guidance = config.guidance_scale or facts["advice"].guidance_scale
        texts = [config.prompt] + [config.negative_prompt] * (guidance > 1)
        embedded = (
            embed_text(folder, texts, config.device if plan.text_on_gpu else "cpu", config.dtype)
            .to(config.device)
            .split(1)
        )
        base = WanCondition(embedded[0], *embedded[1:], guidance_scale=guidance)
        prior = cls(
            read_part(WanTransformer3DModel, folder / "transformer", config.dtype),
            read_part(AutoencoderKLWan, folder / "vae", torch.float32),
            base,
            plan,
            config.device,
        )
        prior.shift = facts["advice"].shift
        prior.fingerprint = f"{fingerprint(folder)} {config} {guidance} {plan.tiled_vae}"
        prior.close_loop = config.close_loop
        if facts["kind"] == "i2v":
            prior.image_encoder = ImageEncoder.load(folder, facts["image_encoder"])
        return prior._settle()

    def to_latents(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 16 t h w"]:
        """Clean latents of unit scale; only `sdedit` adds noise to them.

        Args:
            clip: in [-1, 1]; T = 4k + 1, H and W multiples of 16, never stretched or cut here.
        """
        _check_clip(clip)
        with torch.no_grad():
            self._bring(self.vae)
            mean, std = self._scale()
            parts = [
                self.vae.encode(one.to(self.device, torch.float32)).latent_dist.mode()
                for one in clip.split(1)
            ]  # the mode, as diffusers: no noise of its own
            return (torch.cat(parts) - mean) / std

    def to_clip(self, latents: Float[Tensor, "B 16 t h w"]) -> Float[Tensor, "B 3 T H W"]:
        """The clip in [-1, 1], on the CPU; T = 4 (t - 1) + 1."""
        with torch.no_grad():
            self._bring(self.vae)
            mean, std = self._scale()
            z = latents.to(self.device, torch.float32) * std + mean
            return torch.cat(
                [self.vae.decode(one, return_dict=False)[0].cpu() for one in z.split(1)]
            )

    def condition(self, known: Condition) -> WanCondition:
        """The prompts; an I2V model is also shown the front view as its first frame."""
        if self.image_encoder is None:
            return self.base
        return self.with_first_frame(known.reference, num_frames=known.azimuths_deg.shape[-1])

    def with_first_frame(
        self, picture: Float[Tensor, "1 3 H W"], *, num_frames: int
    ) -> WanCondition:
        """Show an I2V model how its clip starts: a picture in [-1, 1], framed like the clip."""
        if self.image_encoder is None:
            fail(
                "first frame",
                got="a text-to-video checkpoint",
                wanted="an I2V one",
                fix="Load i2v-14b-480p.",
            )
        rest = torch.zeros(1, 3, num_frames - 1, *picture.shape[2:]).to(picture)
        latents = self.to_latents(torch.cat([picture[:, :, None], rest], dim=2))
        known = torch.zeros_like(latents[:, :4])
        known[:, :, 0] = 1
        return replace(
            self.base,
            first_frame=torch.cat([known, latents], dim=1),
            image=self.image_encoder(picture).to(self.device),
        )

    def velocity(
        self, x: Float[Tensor, "B 16 t h w"], sigma: Tensor | float, condition: WanCondition
    ) -> Float[Tensor, "B 16 t h w"]:
        """Flow velocity with classifier-free guidance, in float32.

        Source: Wan (2503.20314); Ho & Salimans 2022 (guidance).
        """
        c, dtype = condition, self.transformer.dtype
        batch = x.shape[0]
        seen = (
            x
            if c.first_frame is None
            else torch.cat([x, c.first_frame.expand(batch, -1, -1, -1, -1)], dim=1)
        )
        time = (1000 * torch.as_tensor(sigma, dtype=torch.float32)).to(self.device).expand(batch)
        image = None if c.image is None else c.image.to(dtype).expand(batch, -1, -1)

        def ask(text: Tensor) -> Tensor:
            return self.transformer(
                seen.to(self.device, dtype),
                timestep=time,
                encoder_hidden_states_image=image,
                encoder_hidden_states=text.to(dtype).expand(batch, -1, -1),
                return_dict=False,
            )[0].float()

        with torch.no_grad():
            self._bring(self.transformer)
            v = ask(c.text)
            if c.negative is None or c.guidance_scale == 1:
                return v
            without = ask(c.negative)
            return without + c.guidance_scale * (v - without)

    def _settle(self) -> "WanPrior":
        """Put the parts where the plan wants them."""
        if self.plan.tiled_vae:
            self.vae.enable_tiling()
        if self.plan.transformer == "streamed":
            on_gpu = self.device.type == "cuda"
            self.transformer.enable_group_offload(
                self.device,
                torch.device("cpu"),
                offload_type="block_level",
                num_blocks_per_group=1,
                use_stream=on_gpu,
            )
        elif self.plan.transformer == "resident":
            self.transformer.to(self.device)
        self.vae.to(self.device if self.plan.transformer != "swapped" else "cpu")
        return self

    def _bring(self, part: nn.Module) -> None:
        """In a swapped plan, transformer and VAE are never on the GPU together."""
        # Who is there is remembered, not read off: a part on "cuda" says that it is on "cuda:0".
        if self.plan.transformer == "swapped" and self.part_on_gpu is not part:
            other = self.vae if part is self.transformer else self.transformer
            other.to("cpu")
            part.to(self.device)
            self.part_on_gpu = part

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent channel, as published."""
        config = self.vae.config
        return tuple(
            torch.tensor(values, device=self.device).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )


def _check(config: WanConfig) -> None:
    if config.dtype not in (torch.bfloat16, torch.float32):
        fail(
            "dtype",
            got=config.dtype,
            wanted="bfloat16 or float32; float16 overflows in Wan",
            fix="Use torch.bfloat16.",
        )
    if config.guidance_scale is not None and config.guidance_scale < 1:
        fail("guidance_scale", got=config.guidance_scale, wanted=">= 1", fix="Try None or 5.")
    check_device(config.device, what="Wan2.1", fix="Use --profile embedded.")
    latent_shape(*config.clip)


def _check_clip(clip: Tensor) -> None:
    if clip.ndim != 5 or clip.shape[1] != 3 or clip.shape[0] == 0:
        fail(
            "clip",
            got=tuple(clip.shape),
            wanted="(B,3,T,H,W), B >= 1",
            fix="See refine.edit.as_clip.",
        )
    latent_shape(*clip.shape[2:])
    if float(clip.abs().max()) > 1.01:
        fail(
            "clip",
            got=f"values up to {float(clip.abs().max()):.2f}",
            wanted="[-1, 1]",
            fix="2 * rgb - 1.",
        )
