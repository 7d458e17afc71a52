"""Pictures that are nearly the same: found by a perceptual hash of 64 bits."""

import numpy as np

MAX_BITS = 2  # of 64 that may differ between two pictures of the same thing


class Pictures:
    """The hashes of all pictures so far."""

    def __init__(self):
        self.names: list[str] = []
        self.hashes = np.zeros(1024, np.uint64)

    def add(self, name: str, row: dict) -> None:
        """Remember a sample's picture, if it has a hash.

        Args:
            name: of the sample.
            row: its JSON; "image_hash" are 16 hexadecimal digits.
        """
        if "image_hash" not in row:
            return
        if len(self.names) == len(self.hashes):
            self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)])
        self.hashes[len(self.names)] = int(row["image_hash"], 16)
        self.names.append(name)

    def twin_of(self, row: dict) -> str | None:
        """Name of the first earlier sample with nearly the same picture."""
        if "image_hash" not in row or not self.names:
            return None
        differing = self.hashes[: len(self.names)] ^ np.uint64(int(row["image_hash"], 16))
        near = np.flatnonzero(np.bitwise_count(differing) <= MAX_BITS)
        return self.names[near[0]] if len(near) else None
