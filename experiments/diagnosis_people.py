"""What the parts of `experiments.diagnosis` share: people, and records that outlive a kill."""

from collections.abc import Callable
from pathlib import Path

import torch

from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import procedural_case
from toolkit.profiles.base import PipelineConfig
from toolkit.run.folder import digest, read_json, write_json
from toolkit.run.progress import Progress, silent

FOLDER = Path("runs/diagnosis")
SPLIT = "val"


def open_person(seed: int, folder: Path, config: PipelineConfig | None = None) -> Bench:
    """A validation person with its photo taken, on the body that is estimated from it.

    Args:
        seed: of the person.
        folder: gets the photo and the finished stages.
        config: of the pipeline.
    """
    return Bench.open(procedural_case(seed, SPLIT, folder), folder / "job", config)


def weights_key(net: torch.nn.Module) -> str:
    """Identity of one network's weights.

    The profile's own fingerprint covers all networks. A part that uses only the coarse model need
    not be measured again when another network is replaced.
    """
    return digest(*(value.numpy().tobytes() for value in net.state_dict().values()))


def each_person(
    part: str, num: int, key: str, measure_person: Callable[[int, Path], dict]
) -> list[dict]:
    """The records of the first people; those that a killed run has finished are read back.

    Args:
        part: name of the part, its folder and its progress bar.
        num: of people.
        key: of what the records depend on besides the person; records of another key are made anew.
        measure_person: gets the seed and the person's folder.
    """
    records = []
    with Progress(part, num) as tick:
        for seed in range(num):
            folder = FOLDER / part / f"{SPLIT}_{seed:07d}"
            path = folder / "record.json"
            record = read_json(path) if path.is_file() else {}
            if record.get("key") != key:
                with silent():
                    record = {"key": key, "values": measure_person(seed, folder)}
                write_json(path, record)
            records.append(record["values"])
            tick()
    return records
