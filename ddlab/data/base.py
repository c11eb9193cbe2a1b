"""What a data set gives to the rest of ddlab, and the randomness it draws from."""

from __future__ import annotations

import abc
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ddlab.errors import inside


@dataclass(frozen=True)
class Spec:
    """Sizes of a data set, known without loading it.

    Attributes:
        num_train: N, the number of training examples.
        num_test: number of test examples.
        input_shape: shape of one input.
        num_outputs: K, the number of classes, or of real targets.
        alphabet: number of distinct tokens where inputs are integer tokens; None where they are real numbers.
        regression: targets are real numbers, not classes.
        test_nodes: as in `Dataset`.
    """

    num_train: int
    num_test: int
    input_shape: tuple[int, ...]
    num_outputs: int
    alphabet: int | None = None
    regression: bool = False
    test_nodes: bool = False


@dataclass(frozen=True)
class Dataset:
    """Arrays of a data set.

    Attributes:
        train_inputs: [N, *input_shape], floating or int32 tokens.
        train_targets: [N], int32 class labels, label noise included; or [N, K], real numbers with their noise.
        test_inputs: [num_test, *input_shape].
        test_targets: [num_test], int32 class labels; or [num_test, K], real numbers without noise.
        num_outputs: K.
        alphabet: as in `Spec`.
        noise_variance: of a real target of a fresh example; None where targets are classes.
        test_nodes: the test inputs are nodes, at which the mean square of any function linear in the inputs is its expectation
            over fresh inputs; for models linear in their inputs only.
    """

    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    num_outputs: int
    alphabet: int | None = None
    noise_variance: float | None = None
    test_nodes: bool = False

    @property
    def spec(self) -> Spec:
        return Spec(
            num_train=len(self.train_targets),
            num_test=len(self.test_targets),
            input_shape=self.train_inputs.shape[1:],
            num_outputs=self.num_outputs,
            alphabet=self.alphabet,
            regression=self.noise_variance is not None,
            test_nodes=self.test_nodes,
        )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What training and evaluation read: the arrays by name, and `noise_variance` [] where there is one."""
        arrays = {name: getattr(self, name) for name in ("train_inputs", "train_targets", "test_inputs", "test_targets")}
        return arrays if self.noise_variance is None else {**arrays, "noise_variance": np.array(self.noise_variance, float)}

    @cached_property
    def checksum(self) -> str:
        """Sixteen hex digits of the sha256 over all arrays."""
        digest = hashlib.sha256()
        for array in self.arrays.values():
            digest.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


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

    def resolve(self) -> dict[str, Any]:
        """Return fields to fill in before a trial's identity is taken, such as the checksum of a file."""
        return {}

    def describe(self) -> Spec:
        """Return the sizes of what `load` gives."""
        return load(self).spec


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


def load(source: Any) -> Dataset:
    """Return a data component's arrays.

    Raises:
        ComponentError: from the component's own code, or where what it gives is not as `Dataset` and `describe` say.
    """
    with inside(source, "load"):
        dataset = source.load()
        if not isinstance(dataset, Dataset):
            raise TypeError(f"must return a ddlab.data.Dataset, not {type(dataset).__name__}")
        for split in ("train", "test"):
            _check_split(split, getattr(dataset, f"{split}_inputs"), getattr(dataset, f"{split}_targets"), dataset)
        if type(source).describe is not DataSource.describe and describe(source) != dataset.spec:
            raise ValueError(f"gives {dataset.spec}, but describe() says {describe(source)}")
    return dataset


def _check_split(split: str, inputs: Any, targets: Any, dataset: Dataset) -> None:
    """Raise `ValueError` where the arrays of a split are not as `Dataset` says."""
    if not (isinstance(inputs, np.ndarray) and isinstance(targets, np.ndarray)):
        raise ValueError(f"{split}_inputs and {split}_targets must be NumPy arrays")
    if inputs.dtype.kind not in "fiu" or not np.isfinite(inputs).all():
        raise ValueError(f"{split}_inputs must be finite real numbers or integer tokens")
    if not len(inputs) == len(targets) >= 1 or inputs.shape[1:] != dataset.train_inputs.shape[1:] or not inputs.size:
        raise ValueError(
            f"{split}_inputs {inputs.shape} and {split}_targets {targets.shape} must have as many examples, of one shape"
        )
    if dataset.alphabet is not None and not (inputs.dtype.kind in "iu" and 0 <= inputs.min() <= inputs.max() < dataset.alphabet):
        raise ValueError(f"{split}_inputs must be integer tokens from 0 to {dataset.alphabet - 1}")
    if dataset.noise_variance is not None:
        if targets.dtype.kind != "f" or targets.shape[1:] != (dataset.num_outputs,) or not np.isfinite(targets).all():
            raise ValueError(f"{split}_targets must be finite real numbers [N, {dataset.num_outputs}]")
    elif targets.dtype.kind not in "iu" or targets.ndim != 1 or not 0 <= targets.min() <= targets.max() < dataset.num_outputs:
        raise ValueError(f"{split}_targets must be integer classes [N] from 0 to {dataset.num_outputs - 1}")


def blank(spec: Spec) -> Dataset:
    """Return a data set of zeros, which take no memory."""

    def zeros(num: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.broadcast_to(np.zeros((), dtype), (num, *shape))

    inputs = np.float32 if spec.alphabet is None else np.int32
    targets: tuple[tuple[int, ...], Any] = ((spec.num_outputs,), float) if spec.regression else ((), np.int32)
    return Dataset(
        train_inputs=zeros(spec.num_train, spec.input_shape, inputs),
        train_targets=zeros(spec.num_train, *targets),
        test_inputs=zeros(spec.num_test, spec.input_shape, inputs),
        test_targets=zeros(spec.num_test, *targets),
        num_outputs=spec.num_outputs,
        alphabet=spec.alphabet,
        noise_variance=0.0 if spec.regression else None,
        test_nodes=spec.test_nodes,
    )
