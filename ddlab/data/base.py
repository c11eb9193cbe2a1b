"""What a data set gives to the rest of ddlab, and the randomness it draws from."""

from __future__ import annotations

import abc
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ddlab.errors import inside

TRAIN, TEST = "train", "test"

# Name of the array of the training labels without their noise.
TRUTH = "train_truth"


@dataclass(frozen=True)
class Field:
    """What the inputs, or the targets, of one example are.

    Attributes:
        shape: of one.
        size: number of distinct tokens or classes, integers from 0; None where they are real numbers.
    """

    shape: tuple[int, ...] = ()
    size: int | None = None


@dataclass(frozen=True)
class Spec:
    """Sizes of a data set, known without loading it.

    Attributes:
        inputs: real numbers, or tokens.
        targets: classes, one for an example or several; or real numbers.
        sizes: split -> number of examples, "train" and "test" among them; N is that of "train".
        noise_variance: as in `Dataset`: whether there is one.
        test_nodes: as in `Dataset`.
    """

    inputs: Field
    targets: Field
    sizes: Mapping[str, int]
    noise_variance: bool = False
    test_nodes: bool = False

    def __hash__(self) -> int:
        return hash((self.inputs, self.targets, tuple(self.sizes.items()), self.noise_variance, self.test_nodes))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" first."""
        return (TRAIN, *(split for split in self.sizes if split != TRAIN))

    @property
    def num_train(self) -> int:
        """N."""
        return self.sizes[TRAIN]

    @property
    def num_evaluated(self) -> int:
        """Examples of all splits but the training set."""
        return sum(self.sizes.values()) - self.num_train

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what a network gives for one example: a number for each class, or for each real target."""
        return self.targets.shape if self.targets.size is None else (*self.targets.shape, self.targets.size)

    @property
    def num_outputs(self) -> int:
        """K, the numbers that a network gives for one example."""
        return math.prod(self.output_shape)

    def of_size(self, num: int) -> Spec:
        """Return the sizes with so many examples in each split."""
        return replace(self, sizes=dict.fromkeys(self.sizes, num))


class Split(NamedTuple):
    """Some examples.

    Attributes:
        inputs: [M, *inputs.shape], floating or integer tokens.
        targets: [M, *targets.shape], integer classes, label noise included; or real numbers with their noise.
    """

    inputs: np.ndarray
    targets: np.ndarray

    @property
    def num(self) -> int:
        """M."""
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    """Arrays of a data set.

    Attributes:
        splits: name -> examples; "train" and "test", and others that are evaluated, too.
        num_classes: of targets that are classes; None where they are real numbers.
        num_tokens: of inputs that are integer tokens; None where they are real numbers.
        noise_variance: of a real target of a fresh example, where those of the split "test" are without their noise; None where
            they are not.
        test_nodes: the test inputs are nodes, at which the mean square of any function linear in the inputs is its expectation
            over fresh inputs; for models linear in their inputs only.
        truth: targets of the training examples that are classes, without their noise; None: those of the split "train" have none.
    """

    splits: Mapping[str, Split]
    num_classes: int | None = None
    num_tokens: int | None = None
    noise_variance: float | None = None
    test_nodes: bool = False
    truth: np.ndarray | None = None

    @property
    def train(self) -> Split:
        return self.splits[TRAIN]

    @property
    def test(self) -> Split:
        return self.splits[TEST]

    @property
    def spec(self) -> Spec:
        inputs, targets = self.train
        return Spec(
            inputs=Field(inputs.shape[1:], self.num_tokens),
            targets=Field(targets.shape[1:], self.num_classes),
            sizes={name: split.num for name, split in self.splits.items()},
            noise_variance=self.noise_variance is not None,
            test_nodes=self.test_nodes,
        )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What training and evaluation read: SPLIT_inputs and SPLIT_targets, and `noise_variance` [] where there is one.

        Where targets are classes also the training labels without their noise, `TRUTH`.
        """
        arrays = {f"{name}_{field}": array for name, split in self.splits.items() for field, array in split._asdict().items()}
        if self.num_classes is not None:
            arrays[TRUTH] = self.train.targets if self.truth is None else self.truth
        return arrays if self.noise_variance is None else {**arrays, "noise_variance": np.array(self.noise_variance, float)}

    @cached_property
    def checksum(self) -> str:
        """Sixteen hex digits of a sha256 over all arrays that are trained on or tested with."""
        others = {name: array for name, array in self.arrays.items() if not name.endswith("_inputs") and name != TRUTH}
        return _digest(others, self._digest_of_inputs).hex()[:16]

    @cached_property
    def _digest_of_inputs(self) -> bytes:
        return _digest({name: split.inputs for name, split in self.splits.items()})

    def with_inputs_of(self, other: Dataset) -> Dataset:
        """Return it with the input arrays of another, which are equal."""
        shared = self
        if any(split.inputs is not other.splits[name].inputs for name, split in self.splits.items()):
            splits = {name: Split(other.splits[name].inputs, split.targets) for name, split in self.splits.items()}
            shared = replace(self, splits=splits)
        vars(shared)["_digest_of_inputs"] = other._digest_of_inputs  # taken once
        return shared


def _digest(arrays: Mapping[str, np.ndarray], before: bytes = b"") -> bytes:
    """Return the sha256 over arrays and what came before."""
    digest = hashlib.sha256(before)
    for name, array in arrays.items():
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


class DataSource(abc.ABC):
    """Base of data components. A user's own needs `load` only; `describe` where loading is slow.

    A subclass may also define `check()`, which raises `ConfigError` where its fields are at odds with each other.

    Class attributes:
        NESTED_BY: the field that says how large the training set is, where the inputs of a smaller one are the first of a
            larger one; None: they need not be.
    """

    NESTED_BY: ClassVar[str | None] = None

    @abc.abstractmethod
    def load(self) -> Dataset:
        """Return the arrays; equal configs give equal arrays, in any process."""

    def load_beside(self, other: Dataset) -> Dataset:
        """Return what `load` does, beside a data set of equal inputs; where that saves drawing them, a subclass has its own."""
        return self.load().with_inputs_of(other)

    def resolve(self) -> dict[str, Any]:
        """Return fields to fill in before a trial's identity is taken, such as the checksum of a file."""
        return {}

    def describe(self) -> Spec:
        """Return the sizes of what `load` gives."""
        return load(self).spec


def joined_spec(specs: Iterable[Spec]) -> Spec:
    """Return the sizes that the data of the trials of a pack are padded to: of each split the largest."""
    first, *others = dict.fromkeys(specs)
    sizes = {split: max(spec.sizes[split] for spec in (first, *others)) for split in first.sizes}
    return replace(first, sizes=sizes)


def describe(source: Any) -> Spec:
    """Return the sizes of a data component's arrays.

    Raises:
        ComponentError: from the component's own code, or where it gives no `Spec`.
    """
    with inside(source, "describe"):
        spec = source.describe()
        if not isinstance(spec, Spec):
            raise TypeError(f"must return a ddlab.data.Spec, not {type(spec).__name__}")
    return spec


def load(source: Any, beside: Dataset | None = None) -> Dataset:
    """Return a data component's arrays; those of its inputs are of the data set beside it, where there is one of equal inputs.

    Raises:
        ComponentError: from the component's own code, or where what it gives is not as `Dataset` and `describe` say.
    """
    with inside(source, "load"):
        dataset = source.load() if beside is None else source.load_beside(beside)
        if not isinstance(dataset, Dataset):
            raise TypeError(f"must return a ddlab.data.Dataset, not {type(dataset).__name__}")
        if missing := {TRAIN, TEST} - dataset.splits.keys():
            raise ValueError(f"must have a split '{missing.pop()}'")
        for name, split in dataset.splits.items():
            _check_split(name, split, dataset)
        if dataset.truth is not None:
            if dataset.truth.shape != dataset.train.targets.shape:
                raise ValueError(f"truth must have the shape of train.targets, {dataset.train.targets.shape}")
            _check_field("truth", dataset.truth, dataset.num_classes, "classes")
        if type(source).describe is not DataSource.describe and describe(source) != dataset.spec:
            raise ValueError(f"gives {dataset.spec}, but describe() says {describe(source)}")
    return dataset


def _check_split(name: str, split: Any, dataset: Dataset) -> None:
    """Raise an error where a split is not as `Dataset` says."""
    inputs, targets = split
    if not (isinstance(inputs, np.ndarray) and isinstance(targets, np.ndarray)):
        raise ValueError(f"{name}.inputs and {name}.targets must be NumPy arrays")
    if inputs.dtype.kind not in "fiu" or not np.isfinite(inputs).all():
        raise ValueError(f"{name}.inputs must be finite real numbers or integer tokens")
    alike = [array.shape[1:] == like.shape[1:] for array, like in zip(split, dataset.train, strict=True)]
    if not len(inputs) == len(targets) >= 1 or not all(alike) or not inputs.size:
        raise ValueError(
            f"{name}.inputs {inputs.shape} and {name}.targets {targets.shape} must have as many examples, of one shape"
        )
    if dataset.num_tokens is None and inputs.dtype.kind != "f":
        raise ValueError(f"{name}.inputs must be floating, or there must be num_tokens")
    _check_field(f"{name}.inputs", inputs, dataset.num_tokens, "tokens")
    if dataset.num_classes is None and targets.dtype.kind != "f":
        raise ValueError(f"{name}.targets must be real numbers, or there must be num_classes")
    _check_field(f"{name}.targets", targets, dataset.num_classes, "classes")


def _check_field(name: str, array: np.ndarray, size: int | None, kind: str) -> None:
    if size is not None and not (array.dtype.kind in "iu" and 0 <= array.min() <= array.max() < size):
        raise ValueError(f"{name} must be integer {kind} from 0 to {size - 1}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")


def blank(spec: Spec) -> Dataset:
    """Return a data set of zeros, which take no memory."""

    def zeros(num: int, field: Field, real: Any) -> np.ndarray:
        return np.broadcast_to(np.zeros((), real if field.size is None else np.int32), (num, *field.shape))

    return Dataset(
        {name: Split(zeros(num, spec.inputs, np.float32), zeros(num, spec.targets, float)) for name, num in spec.sizes.items()},
        num_classes=spec.targets.size,
        num_tokens=spec.inputs.size,
        noise_variance=0.0 if spec.noise_variance else None,
        test_nodes=spec.test_nodes,
    )
