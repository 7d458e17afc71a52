"""Rewrite the sha256 column of THIRD_PARTY.md from the files in data/; say which rows are missing.

python -m tools.upkeep.third_party      # after a file in data/ was made anew
"""

import hashlib
import re
import sys
from pathlib import Path

from tools.command import run

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(data/[^`]+)` \|")


def refresh(text: str) -> tuple[str, set[str]]:
    """The text with every row's last column made right, and the paths it has rows for."""
    lines, seen = [], set()
    for line in text.splitlines():
        if match := ROW.match(line):
            path = ROOT / match[1]
            seen.add(match[1])
            cells = line.strip("|").split("|")
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
            cells[-1] = f" {digest} "
            line = "|" + "|".join(cells) + "|"
        lines.append(line)
    return "\n".join(lines) + "\n", seen


def main() -> int:
    """Write the file; exit code 1 if a file in data/models has no row."""
    page = ROOT / "THIRD_PARTY.md"
    text, seen = refresh(page.read_text())
    page.write_text(text)
    files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "data").rglob("*") if p.is_file()}
    missing = sorted(f for f in files - seen if not f.endswith(".md") and "/." not in f)
    for name in missing:
        print(f"no row in THIRD_PARTY.md for {name}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    raise SystemExit(run(main))
