"""MNIST-1D (Greydanus, Kobak 2024): ten hand-drawn templates, warped, shifted and made noisy; 40 numbers an example."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import VALIDATION, HeldOut
from ddlab.files import cache_directory, write_atomically
from ddlab.streams import seed_of

BLOCK = 4000
NUM_CLASSES = 10


@dataclass(frozen=True)
class MNIST1D(HeldOut):
    """MNIST-1D with label noise and any number of examples.

    Examples come in blocks of 4000, those that the `mnist1d` package generates; the first n of a larger training set are the
    training set of size n, so that sweeps over `num_train` are nested.
    """

    num_train: int = leaf("training examples N", Mark.SIZE, low=1)
    num_test: int = leaf("test examples", low=1)
    seed: int = seed_leaf("seed of the examples drawn", below=2**31)

    NESTED_BY = "num_train"

    def describe(self) -> Spec:
        sizes = {"train": self.num_train, "test": self.num_test, **self.held_out}
        return Spec(Field((40,)), Field(size=NUM_CLASSES), sizes)

    def load(self) -> Dataset:
        splits = {split: _examples(split, num, self.seed) for split, num in (("train", self.num_train), ("test", self.num_test))}
        if self.num_validation:
            splits |= self.validation(*_examples(VALIDATION, self.num_validation, self.seed), NUM_CLASSES)
        return self.dataset(splits, NUM_CLASSES)


def _examples(split: str, num: int, seed: int) -> Split:
    blocks = [_block(split, seed, index) for index in range(-(-num // BLOCK))]
    inputs, targets = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return Split(inputs[:num], targets[:num])


def _block(split: str, seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one block of examples from the cache, or generate and cache it.

    Two processes may write a block at once; one that cannot be read or whose checksum differs is generated again.
    """
    name = f"mnist1d-v1-{split}-seed{seed}-block{index}.npz"
    path = cache_directory() / name
    try:
        with np.load(path) as stored:
            inputs, targets, checksum = stored["inputs"], stored["targets"], str(stored["checksum"])
        if checksum == _checksum(inputs, targets):
            return inputs, targets
    except Exception:
        pass
    inputs, targets = _generate(seed_of(name))
    file = io.BytesIO()
    np.savez(file, inputs=inputs, targets=targets, checksum=np.array(_checksum(inputs, targets)))
    with contextlib.suppress(OSError):  # without a cache directory it is generated each time
        write_atomically(path, file.getvalue())
    return inputs, targets


def _checksum(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def _generate(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate a block: what `mnist1d.data.make_dataset` gives of the same seed, number for number (tested), 20 times as fast.

    That function takes one example after the other through each transformation; here the random numbers are drawn in its order,
    and all examples are transformed at once. M examples of L = 72 places.
    """
    from mnist1d.data import get_dataset_args, get_templates
    from mnist1d.transform import interpolate
    from scipy.ndimage import gaussian_filter1d

    args, templates, random = get_dataset_args(), get_templates()["x"], np.random.RandomState(seed)
    low, high = args.padding
    length = args.template_len + high
    labels = np.repeat(np.arange(NUM_CLASSES), BLOCK // NUM_CLASSES)
    drawn = [_draw(random, length, args.max_translation) for _ in labels]
    padding, scale, shift, correlated, independent, shear = (np.array(numbers) for numbers in zip(*drawn, strict=True))
    padded = {
        extra: interpolate(np.pad(templates + 1e-8, ((0, 0), (0, low + extra))).T, length).T for extra in range(high - low + 1)
    }
    signal = np.stack([padded[extra] for extra in sorted(padded)])[(padding * (high - low + 1)).astype(int), labels]
    signal = signal * (1 + args.scale_coeff * (scale - 0.5))[:, None]
    signal = np.take_along_axis(signal, (np.arange(length) - shift[:, None]) % length, axis=1)
    noise = gaussian_filter1d(args.corr_noise_scale * correlated, 2, axis=1)
    signal = np.where(signal != 0, signal, noise) + args.iid_noise_scale * independent
    signal = signal - (args.shear_scale * (shear - 0.5))[:, None] * np.linspace(-0.5, 0.5, length)
    inputs = interpolate(signal.T, args.final_seq_length).T
    order = random.permutation(BLOCK)
    inputs = inputs[order]
    return ((inputs - inputs.mean()) / inputs.std()).astype(np.float32), labels[order].astype(np.int32)


def _draw(random: Any, length: int, max_translation: int) -> tuple[Any, ...]:
    """Return the random numbers of one example in the order of `mnist1d.transform.transform`; random: a legacy generator."""
    return (
        random.rand(),
        random.rand(),
        random.choice(max_translation),
        random.randn(length),
        random.randn(length),
        random.rand(),
    )
