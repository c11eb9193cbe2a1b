"""Data sets: each is a component with `describe() -> Spec` and `load() -> Dataset`."""

from ddlab.data.base import TEST, TRAIN, TRUTH, Dataset, DataSource, Field, Spec, Split, describe, load
from ddlab.data.digits import Digits
from ddlab.data.gaussian import Gaussian
from ddlab.data.group import PermutationGroup
from ddlab.data.images import CIFAR, MNIST, FashionMNIST
from ddlab.data.interval import Interval
from ddlab.data.mnist1d import MNIST1D
from ddlab.data.modular import ModularArithmetic
from ddlab.data.npz import Npz
from ddlab.data.operation import BinaryOperation
from ddlab.data.sparse_parity import SparseParity
from ddlab.data.sphere import Sphere
from ddlab.data.teacher import Teacher

__all__ = [
    "CIFAR",
    "MNIST",
    "MNIST1D",
    "TEST",
    "TRAIN",
    "TRUTH",
    "BinaryOperation",
    "DataSource",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "Field",
    "Gaussian",
    "Interval",
    "ModularArithmetic",
    "Npz",
    "PermutationGroup",
    "SparseParity",
    "Spec",
    "Sphere",
    "Split",
    "Teacher",
    "describe",
    "load",
]
