"""How far the number of a claim is known: from few seeds their range, from more a bootstrap interval.

Fewer than five seeds have so few different resamples (three have ten) that their quantiles mean nothing; then the number of each
seed alone is shown, from the lowest to the highest. From five seeds on it is BCa, the bias-corrected and accelerated bootstrap
(Efron 1987; Efron, Tibshirani 1993, section 14.3), its level widened as Student's t would be (Hesterberg 2015, The American
Statistician 69, 371-386; his R package resample does so by default). Ratios need no logarithm, as BCa is the same on any scale.

Seeds that form a grid are drawn each for itself (Owen 2007, the pigeonhole bootstrap); the jackknife leaves out one level of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddlab.report.sample import Numbers, Sample

FEWEST_SEEDS = 5
RESAMPLES, LEVEL = 2_000, 0.95

# With more levels than this the jackknife leaves out groups of them, whose acceleration is the same on average.
MOST_LEFT_OUT = 200

# Numbers this close, relative to their size, differ by rounding only.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Interval:
    """How far a number is known.

    Attributes:
        low, high: its ends; nan where there is none.
        kind: what lies between them, in words, such as "95 %" or "range of 3 seeds".
    """

    low: float = math.nan
    high: float = math.nan
    kind: str = ""

    def __str__(self) -> str:
        if math.isnan(self.low):
            return self.kind
        low, high = (f"{end:.0f}" if 1000 <= abs(end) < 1e6 else f"{end:.3g}" for end in (self.low, self.high))
        ends = low if self.low == self.high else f"{low} to {high}"
        return f"{ends} ({self.kind})"


def interval_of(sample: Sample, numbers: Numbers) -> Interval:
    """Return the interval of a number over seeds; none for a single seed.

    Args:
        sample: what the number is computed from.
        numbers: weights of the combinations of seeds, [B, U], -> the number of each weighting, [B]; nan where there is none.
    """
    if not sample.levels:
        return Interval()
    if sample.fewest < FEWEST_SEEDS:
        return _range(sample, numbers)
    units = sample.factors.shape[1]
    (measured,) = numbers(np.ones((1, units)))
    random = np.random.default_rng(0)
    resampled = sample.evaluate(numbers, RESAMPLES, lambda rows: _drawn(sample, random, len(rows)))
    return bca(measured, resampled, [_jackknife(sample, numbers, factor) for factor in sample.factors], min(sample.levels))


def bca(measured: float, resampled: np.ndarray, left_out: Sequence[np.ndarray], num_seeds: int) -> Interval:
    """Return the BCa interval of a number.

    Args:
        measured: the number.
        resampled: [B] it in each resample; not finite where there is none.
        left_out: for each factor, it without one level (or group of levels) at a time.
        num_seeds: levels of the factor that has the fewest; Student's t has one degree of freedom less.
    """
    found = resampled[np.isfinite(resampled)]
    missing = _missing(len(resampled) - len(found), len(resampled), "resamples")
    if not math.isfinite(measured) or not len(found):
        return Interval(kind=missing)
    same = np.isclose(found, measured, rtol=ROUNDING, atol=0.0)
    if same.all():
        return Interval(measured, measured, missing or "all resamples")
    from scipy.special import ndtr, ndtri, stdtrit  # takes a while; a claim of few seeds needs none

    below = float((found < measured)[~same].sum() + same.sum() / 2) / len(found)
    bias = ndtri(below)
    acceleration, without = _acceleration(left_out)
    missing = _joined(missing, without)
    tail = math.sqrt(num_seeds / (num_seeds - 1)) * stdtrit(num_seeds - 1, (1 + LEVEL) / 2)
    if abs(bias) >= tail:
        low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(float(low), float(high), _joined(f"{100 * LEVEL:g} % of resamples", missing))
    shifted = bias + np.array([-tail, tail])
    low, high = np.quantile(found, ndtr(bias + shifted / (1 - acceleration * shifted)))
    return Interval(float(low), float(high), _joined(f"{100 * LEVEL:g} %", missing))


def _acceleration(left_out: Sequence[np.ndarray]) -> tuple[float, str]:
    """Return the acceleration, a sixth of the skewness of the number's derivatives by the seeds of all factors; and in how many
    left-out seeds there is none of these, in words.
    """
    found = [numbers[np.isfinite(numbers)] for numbers in left_out]
    every = np.concatenate(
        [(len(numbers) - 1) / len(numbers) * (np.mean(numbers) - numbers) if len(numbers) else numbers for numbers in found]
    )
    total = sum(map(len, left_out))
    missing = _missing(total - len(every), total, "left-out seeds")
    largest = float(np.abs(every).max(initial=0.0))
    if largest == 0:
        return 0.0, missing
    every = every / largest  # the cube of a large one is none that a float can hold
    return float((every**3).sum() / (6 * np.square(every).sum() ** 1.5)), missing


def _range(sample: Sample, numbers: Numbers) -> Interval:
    units = sample.factors.shape[1]
    alone = sample.evaluate(numbers, units, lambda rows: rows[:, None] == np.arange(units))
    found = alone[np.isfinite(alone)]
    missing = _missing(units - len(found), units, "seeds")
    if not len(found):
        return Interval(kind=missing)
    seeds = " x ".join(map(str, sample.levels))
    return Interval(float(found.min()), float(found.max()), _joined(f"range of {seeds} seeds", missing))


def _drawn(sample: Sample, random: np.random.Generator, number: int) -> np.ndarray:
    """Return how often each combination of seeds is drawn in so many resamples, each factor drawn for itself: [number, U]."""
    times = np.ones((number, sample.factors.shape[1]))
    for factor, levels in zip(sample.factors, sample.levels, strict=True):
        drawn = random.integers(levels, size=(number, levels)) + levels * np.arange(number)[:, None]
        times *= np.bincount(drawn.reshape(-1), minlength=number * levels).reshape(number, levels)[:, factor]
    return times


def _jackknife(sample: Sample, numbers: Numbers, factor: np.ndarray) -> np.ndarray:
    """Return the number without each level of a factor, or group of levels."""
    groups = min(int(factor.max()) + 1, MOST_LEFT_OUT)
    return sample.evaluate(numbers, groups, lambda rows: factor % groups != rows[:, None])


def _missing(number: int, total: int, of: str) -> str:
    return f"none in {number:,} of {total:,} {of}" if number else ""


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))
