"""Weights that `avatar --profile full` can use: body, pose, coarse avatar and video prior.

Revisions and sizes are those that public listings of the hub gave in 2026. Where we could not see a
revision, the row says None; where a size is not from a listing, the row says `approximate`.
"""

from toolkit.weights.weight import Weight

LHM_BUCKET = "https://virutalbuy-public.oss-cn-hangzhou.aliyuncs.com/share/aigc3d/data/LHM/"
LHM_LICENCE = "CC BY-NC 4.0 (model card)"
LHM_NOTE = "Non-commercial: weights CC BY-NC, and they contain SMPL-X (MPI, non-commercial)."
POINTS_NOTE = (
    "Anchors that the checkpoint lacks. In 2026 the bucket refused access (403) for months; we "
    "know no mirror. Then the command draws stand-ins from the checkpoint, and reports say so."
)
DRAW_POINTS = " || python -m toolkit lhm-points {folder}/"  # after LHM itself has been fetched
# The large files of a folder in diffusers' layout.
PIPELINE = (
    "model_index.json",
    "transformer/*.safetensors",
    "text_encoder/*.safetensors",
    "vae/*.safetensors",
)


def _lhm(
    size: str, num_bytes: int, revision: str | None = None, approximate: bool = True
) -> Weight:
    return Weight(
        f"lhm-{size.lower()}",
        "coarse",
        f"3DAIGC/LHM-{size}",
        ("config.json", "model.safetensors"),
        num_bytes,
        LHM_LICENCE,
        revision,
        note=LHM_NOTE,
        approximate=approximate,
    )


def _wan(name: str, source: str, num_bytes: int, revision: str) -> Weight:
    return Weight(name, "prior", source, PIPELINE, num_bytes, "Apache-2.0", revision)


AVATAR_WEIGHTS = (
    Weight(
        "smplx",
        "body",
        "https://smpl-x.is.tue.mpg.de",
        ("**/SMPLX_NEUTRAL.npz",),
        None,
        "SMPL-X model licence (MPI), non-commercial",
        gated=True,
        note="Non-commercial research; one licence per person or institute, not to be shared.",
        recipe="unzip -j models_smplx_v1_1.zip '*/SMPLX_NEUTRAL.npz' -d {folder}"
        "   # after registering at {source}",
    ),
    Weight(
        "multi-hmr",
        "pose",
        "https://download.europe.naverlabs.com/ComputerVision/MultiHMR/multiHMR_896_L.pt",
        ("multiHMR_896_L.pt",),
        1_290_000_000,
        "NAVER, non-commercial",
        note="Non-commercial; works on SMPL-X.",
        approximate=True,
        recipe="curl --create-dirs -L {source} -o {folder}/multiHMR_896_L.pt",
    ),
    _lhm("MINI", 2_775_668_536, approximate=False),
    _lhm("500M", 3_800_000_000),
    _lhm("500M-HF", 3_800_000_000, "dd6392905187a91fd67b3f6962aa74481e943764"),
    _lhm("1B", 6_852_000_000, "cd8a1cc900a557d83187cfc2e0a91cef3eba969d"),
    _lhm("1B-HF", 6_852_462_632, "92372582f660066b9f1b9513860744357265b3d5", approximate=False),
    Weight(
        "lhm-points-20k",
        "coarse",
        LHM_BUCKET + "1_20000.ply",
        ("**/1_20000.ply",),
        None,
        LHM_LICENCE,
        note="For LHM-MINI. " + POINTS_NOTE,
        recipe="curl --create-dirs -fL {source} -o {folder}/1_20000.ply"
        + DRAW_POINTS
        + "1_20000.ply",
    ),
    Weight(
        "lhm-points-40k",
        "coarse",
        LHM_BUCKET + "LHM_prior_model.tar",
        ("**/1_40000.ply",),
        18_818_365_440,
        LHM_LICENCE,
        note="For the 500M and 1B models; one small file of a "
        "large archive, of which LHM's voxel grid is not needed. " + POINTS_NOTE,
        recipe="mkdir -p {folder} && curl -fL {source} | "
        "tar -x -C {folder} --wildcards --occurrence=1 '*/1_40000.ply'"  # 1: then it stops reading
        + DRAW_POINTS
        + "1_40000.ply",
    ),
    Weight(
        "sapiens-1b",
        "coarse",
        "facebook/sapiens-pretrain-1b-torchscript",
        ("sapiens_1b_epoch_173_torchscript.pt2",),
        4_680_000_000,
        "CC BY-NC 4.0",
        note="Non-commercial; LHM's body encoder.",
        approximate=True,
    ),
    Weight(
        "dinov2-large",
        "coarse",
        "facebook/dinov2-with-registers-large",
        ("config.json", "model.safetensors"),
        1_220_000_000,
        "Apache-2.0",
        "e4c89a4e05589de9b3e188688a303d0f3c04d0f3",
        approximate=True,
        note="Only to train: LHM's checkpoints already hold their head encoder.",
    ),
    _wan(
        "wan2.1-t2v-1.3b",
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        28_928_887_859,
        "0fad780a534b6463e45facd96134c9f345acfa5b",
    ),
    _wan(
        "wan2.1-t2v-14b",
        "Wan-AI/Wan2.1-T2V-14B-Diffusers",
        80_406_933_703,
        "38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
    ),
    _wan(
        "wan2.1-i2v-14b-480p",
        "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        90_104_322_037,
        "b184e23a8a16b20f108f727c902e769e873ffc73",
    ),
)
