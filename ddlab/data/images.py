"""Images from the files in which MNIST, Fashion-MNIST and CIFAR are given."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import TEST, TRAIN, Dataset, Field, Spec, Split
from ddlab.data.cifar import CHANNELS, SIDE, read_cifar
from ddlab.data.idx import read_idx
from ddlab.data.noise import VALIDATION, HeldOut
from ddlab.data.stored import reading
from ddlab.errors import ConfigError
from ddlab.files import cache_directory
from ddlab.streams import generator


@dataclass(frozen=True)
class Format:
    """The files of a data set of images.

    Attributes:
        name: of the directory below the cache directory where they are looked for.
        side: pixels of a side.
        channels: of a pixel, C.
        num_classes: K.
        files: their names; a file may also have `.gz` behind its name, where `may_be_gzipped`.
        read: paths of these -> training and test examples: images [M, side, side, C] and labels [M], uint8.
        may_be_gzipped: whether `read` takes them so.
        directory: where they are looked for before.
        install: how to get them there.
    """

    name: str
    side: int
    channels: int
    num_classes: int
    files: tuple[str, ...]
    read: Callable[[Sequence[Path]], tuple[Split, Split]]
    may_be_gzipped: bool = False
    directory: str | None = None
    install: str | None = None


@dataclass(frozen=True)
class Images(HeldOut):
    """Base of data sets of images, float32 [size, size, C].

    The training examples are the first `num_train` of a random order of those of the files, and the validation examples its last
    ones; the test examples are the first `num_test` of an order of their own. Each channel is standardised by the mean and the
    deviation of all pixels of all training images of the files, before means of blocks of pixels make images smaller. A trial's
    identity is the checksum of what the files hold, not their path.
    """

    path: str | None = leaf("directory of the files; null: looked for", Mark.PLACE)
    checksum: str | None = leaf("sha256 of what the files hold, 16 hex digits; null: taken from them")
    num_train: int = leaf("training examples N", Mark.SIZE, low=1)
    num_test: int = leaf("test examples", low=1)
    size: int | None = leaf("pixels a side, means of blocks; null: as they are", low=1)
    seed: int = seed_leaf("seed of the order of the examples")

    NESTED_BY = "num_train"

    @property
    @abc.abstractmethod
    def format(self) -> Format:
        """What the files are."""

    def check(self) -> None:
        if self.format.side % self._side:
            raise ConfigError(f"data.size={self.size}: must divide {self.format.side}, the pixels of a side")

    def resolve(self) -> dict[str, Any]:
        """Fill in the checksum and the directory; refuse files of another checksum, or of too few examples."""
        directory, stored = self._stored()
        if self.checksum not in (None, stored.checksum):
            raise ConfigError(f"data.checksum={self.checksum}: the files in {directory} have {stored.checksum}")
        train, test = (stored.splits[name].num for name in (TRAIN, TEST))
        if self.num_train + self.num_validation > train:
            held_out = f" with data.num_validation={self.num_validation}" if self.num_validation else ""
            raise ConfigError(
                f"data.num_train={self.num_train}{held_out}: must be at most {train}, the training examples in {directory}"
            )
        if self.num_test > test:
            raise ConfigError(f"data.num_test={self.num_test}: must be at most {test}, the test examples in {directory}")
        return {"checksum": stored.checksum, "path": str(directory)}

    def describe(self) -> Spec:
        sizes = {TRAIN: self.num_train, TEST: self.num_test, **self.held_out}
        return Spec(Field((self._side, self._side, self.format.channels)), Field(size=self.format.num_classes), sizes)

    def load(self) -> Dataset:
        self.resolve()
        return self._labelled({name: self._pixels(split.inputs[rows]) for name, (split, rows) in self._chosen().items()})

    def load_beside(self, other: Dataset) -> Dataset:
        return self._labelled({name: split.inputs for name, split in other.splits.items()})

    def _labelled(self, inputs: Mapping[str, np.ndarray]) -> Dataset:
        """Return the data set of the inputs of all splits."""
        splits = {
            name: Split(inputs[name], split.targets[rows].astype(np.int32)) for name, (split, rows) in self._chosen().items()
        }
        held_out = splits.pop(VALIDATION, None)
        if held_out is not None:
            splits |= self.validation(*held_out, self.format.num_classes)
        return self.dataset(splits, self.format.num_classes)

    def _chosen(self) -> dict[str, tuple[Split, np.ndarray]]:
        """Return where each split is taken from, and which of the examples there are its own."""
        stored = self._stored()[1].splits
        train, test = (generator(self.seed, name).permutation(split.num) for name, split in stored.items())
        chosen = {TRAIN: (stored[TRAIN], train[: self.num_train]), TEST: (stored[TEST], test[: self.num_test])}
        if self.num_validation:
            chosen[VALIDATION] = (stored[TRAIN], train[-self.num_validation :])
        return chosen

    @property
    def _side(self) -> int:
        return self.size or self.format.side

    def _pixels(self, images: np.ndarray) -> np.ndarray:
        """Return images [M, ...] of the files standardised, [M, size, size, C] float32."""
        stored, side = self._stored()[1], self._side
        block = self.format.side // side
        inputs = images.reshape(len(images), side, block, side, block, -1).sum(
            axis=(2, 4), dtype=np.float32
        )  # of integers, exact
        inputs /= block**2
        inputs -= stored.mean
        inputs /= stored.deviation
        return inputs

    def _stored(self) -> tuple[Path, _Stored]:
        """Return the directory of the files, and what they hold."""
        with reading(self._given):
            directory, paths = self._found()
            about = [path.stat() for path in paths]
            state = tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in about)
            return directory, _read(self.format, directory, tuple(paths), state)

    @property
    def _given(self) -> str:
        return "null" if self.path is None else self.path

    def _found(self) -> tuple[Path, list[Path]]:
        """Return the first directory that has all files, and their paths."""
        own = cache_directory() / self.format.name
        places = [self.format.directory, own] if self.path is None else [Path(self.path).expanduser()]
        directories = [Path(place).resolve() for place in places if place is not None]
        for directory in directories:
            found = [self._path(directory / name) for name in self.format.files]
            paths = [path for path in found if path is not None]
            if len(paths) == len(found):
                return directory, paths
        gzipped = " (or .gz)" if self.format.may_be_gzipped else ""
        missing = next(name for name in self.format.files if self._path(directory / name) is None)
        looked = f"data.path={self._given}: no {missing}{gzipped} in {' or '.join(map(str, directories))}"
        ways = f"put {', '.join(self.format.files)} there, or name their directory"
        raise ConfigError("; ".join(filter(None, [looked, self.format.install, ways])))

    def _path(self, path: Path) -> Path | None:
        """Return the path of a file, or of that file gzipped; None where there is neither."""
        names = [path, path.with_name(f"{path.name}.gz")] if self.format.may_be_gzipped else [path]
        return next((name for name in names if name.is_file()), None)


@dataclass(frozen=True)
class _Stored:
    """What the files hold.

    Attributes:
        checksum: sha256, 16 hex digits.
        splits: all training and all test examples, as of `Format.read`.
        mean: of the pixels of the training images, [C] float32, in 0..255.
        deviation: likewise.
    """

    checksum: str
    splits: Mapping[str, Split]
    mean: np.ndarray
    deviation: np.ndarray


@lru_cache(maxsize=2)
def _read(form: Format, directory: Path, paths: Sequence[Path], _state: Any) -> _Stored:
    """Read files once, until their state on the disk is another.

    Raises:
        ConfigError: they are not as the format says.
    """
    train, test = form.read(paths)
    digest = hashlib.sha256()
    for name, (images, labels) in {TRAIN: train, TEST: test}.items():
        shape = (form.side, form.side, form.channels)
        if images.shape[1:] != shape or len(images) != len(labels) or not len(labels):
            found = f"{len(labels)} labels and images {images.shape}"
            raise ConfigError(f"data.path={directory}: has {found} to {name}; must be as many, at least one, of {shape}")
        if labels.max() >= form.num_classes:
            raise ConfigError(f"data.path={directory}: has label {labels.max()}; must be at most {form.num_classes - 1}")
        for array in (images, labels):
            digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    mean, squares = (array.mean(axis=(0, 1, 2)) for array in (train.inputs, np.square(train.inputs, dtype=np.uint16)))
    deviation = np.sqrt(squares - mean**2)
    if not deviation.all():
        raise ConfigError(f"data.path={directory}: has training images of one colour; they cannot be standardised")
    return _Stored(digest.hexdigest()[:16], {TRAIN: train, TEST: test}, mean.astype(np.float32), deviation.astype(np.float32))


def _read_idx(paths: Sequence[Path]) -> tuple[Split, Split]:
    train, train_labels, test, test_labels = (read_idx(path, axes) for path, axes in zip(paths, (3, 1, 3, 1), strict=True))
    return Split(train[..., None], train_labels), Split(test[..., None], test_labels)


def _read_cifar(num_labels: int, paths: Sequence[Path]) -> tuple[Split, Split]:
    *train, test = (read_cifar(path, num_labels) for path in paths)
    images, labels = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return Split(images, labels), Split(*test)


IDX_FILES = tuple(f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
MNIST_FORMAT = Format("mnist", 28, 1, 10, IDX_FILES, _read_idx, may_be_gzipped=True)
# Where Debian's package dataset-fashion-mnist has them.
FASHION_MNIST_DIRECTORY = "/usr/share/datasets/fashion-mnist"
FASHION_MNIST_FORMAT = replace(
    MNIST_FORMAT,
    name="fashion_mnist",
    directory=FASHION_MNIST_DIRECTORY,
    install="on Debian, apt install dataset-fashion-mnist",
)
CIFAR_FORMATS = {
    10: Format(
        "cifar10", SIDE, CHANNELS, 10, (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"), partial(_read_cifar, 1)
    ),
    100: Format("cifar100", SIDE, CHANNELS, 100, ("train.bin", "test.bin"), partial(_read_cifar, 2)),
}


@dataclass(frozen=True)
class MNIST(Images):
    """Hand-written digits (LeCun et al. 1998), 28 x 28 grey pixels: 60,000 training and 10,000 test examples."""

    @property
    def format(self) -> Format:
        return MNIST_FORMAT


@dataclass(frozen=True)
class FashionMNIST(Images):
    """Articles of clothing (Xiao et al. 2017), 28 x 28 grey pixels: 60,000 training and 10,000 test examples."""

    @property
    def format(self) -> Format:
        return FASHION_MNIST_FORMAT


@dataclass(frozen=True, kw_only=True)
class CIFAR(Images):
    """CIFAR-10 or CIFAR-100 with its fine labels (Krizhevsky 2009), 32 x 32 pixels of red, green, blue: 50,000 and 10,000."""

    classes: int = leaf("10 or 100", choices=tuple(CIFAR_FORMATS))

    @property
    def format(self) -> Format:
        return CIFAR_FORMATS[self.classes]
