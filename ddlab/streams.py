"""All randomness: named streams of seeds, by a cryptographic hash of their names."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.ndarray:
    """Return the two key words, [2] uint32, of a named stream: independent of other names and seeds, equal in every process."""
    return np.frombuffer(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], ">u4").astype(np.uint32)


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of a named stream of the data: independent of other names, and equal in every process."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _number(name, 8)])))


def seed_of(name: str) -> int:
    """Return a seed of 32 bits for a package that draws by itself, by the name of what it draws."""
    return _number(name, 4)


def _number(name: str, num_bytes: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:num_bytes], "big")
