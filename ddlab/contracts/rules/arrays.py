"""Comparing arrays by name, and saying in a line where they differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# How far numbers in float64 may lie apart that are rounded otherwise, relative to the largest of their array. A step adds some
# tens of roundings of 1e-16, and the few steps of a trial let them grow a thousandfold at most; a mistake is far larger.
ROUNDING = 1e-9

Arrays = Mapping[str, np.ndarray]


def difference(these: Arrays, others: Arrays, where: tuple[str, str], rounding: float = ROUNDING) -> str:
    """Return in words where two sets of arrays differ; nothing where they do not. Numbers that are both nan are equal.

    Args:
        these: name -> array.
        others: what they are compared with.
        where: what each is called, such as "alone" and "in a pack".
        rounding: how far entries may lie apart, relative to the largest of their array; 0: they must be equal bit for bit.
    """
    here, there = where
    for name in sorted(these.keys() ^ others.keys()):
        return f"{name} is given only {here if name in these else there}"
    for name in these:
        one, other = np.asarray(these[name]), np.asarray(others[name])
        if one.shape != other.shape:
            return f"{name} has shape {one.shape} {here} and {other.shape} {there}"
        near = _near(one, other, rounding)
        if not near.all():
            place = np.flatnonzero(~near.ravel())[0]
            return f"{name} is {one.flat[place]:.9g} {here} and {other.flat[place]:.9g} {there}"
    return ""


def _near(one: np.ndarray, other: np.ndarray, rounding: float) -> np.ndarray:
    if one.dtype.kind != "f":
        return np.asarray(one == other)
    largest = np.abs(other[np.isfinite(other)]).max(initial=0)
    return np.isclose(one, other, rtol=0, atol=rounding * largest, equal_nan=True)


def not_finite(arrays: Arrays) -> str:
    """Return in words which of some arrays has an entry that is not finite; nothing where none has."""
    for name, array in arrays.items():
        strange = np.asarray(array)[~np.isfinite(array)]
        if len(strange):
            return f"{name} is {strange[0]}"
    return ""
