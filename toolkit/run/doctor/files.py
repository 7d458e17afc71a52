"""Which shipped files and published weights are on this machine, and whether they are complete."""

import hashlib
import re

from toolkit.run.doctor.machine import ROOT
from toolkit.run.doctor.requirements import MISSING, READY, REQUIREMENTS
from toolkit.run.files import DATA_DIR
from toolkit.weights.commands import fetch_command
from toolkit.weights.search import locate
from toolkit.weights.sets import is_stand_in
from toolkit.weights.table import WEIGHTS


def examine_shipped_files() -> list[dict]:
    """Files of `data/` that THIRD_PARTY.md lists: whether each is here and has its checksum."""
    page = ROOT / "THIRD_PARTY.md"
    lines = page.read_text().splitlines() if page.is_file() else []
    # | `data/models/body.npz` | ... | licence | sha256 |
    rows = [re.match(r"\| `data/([^`]+)` \|.*\| ([^|]+) \| (\w+) \|$", line) for line in lines]
    listed = {row[1]: (row[2], row[3]) for row in rows if row}
    # A file that a stage needs is reported even if the page has lost its row.
    needed = {f"models/{name}" for requirement in REQUIREMENTS for name in requirement.embedded}
    listed |= {name: ("not listed", None) for name in sorted(needed - set(listed))}
    return [_check(name, licence, digest) for name, (licence, digest) in listed.items()]


def _check(name: str, licence: str, digest: str | None) -> dict:
    path, status = DATA_DIR / name, READY
    if not path.is_file():
        status = MISSING
    elif digest is None:
        status = "no checksum to compare with"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        status = "differs from THIRD_PARTY.md"
    return {"name": name, "path": str(path), "licence": licence, "status": status}


def examine_weights() -> list[dict]:
    """Every row of `WEIGHTS`: what this machine holds of it, and the command that fetches it."""
    rows = []
    for weight in WEIGHTS.values():
        located = locate(weight)
        incomplete = "incomplete" if located.folder else MISSING
        rows.append(
            {
                "name": weight.name,
                "stage": weight.stage,
                "source": weight.source,
                "files": list(weight.files),
                "bytes": weight.bytes,
                "licence": weight.licence,
                "revision": weight.pin,
                "gated": weight.gated,
                "note": weight.note,
                "size": weight.size_text,
                "command": fetch_command(weight),
                "status": READY if located.complete else incomplete,
                "missing": list(located.missing),
                "folder": str(located.folder) if located.folder else None,
                "stand_in": bool(located.folder and is_stand_in(located.folder)),
                "bytes_found": located.bytes,
                "looked": [str(path) for path in located.looked],
            }
        )
    return rows
