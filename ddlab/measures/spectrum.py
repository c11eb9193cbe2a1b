"""What the singular values of the training features say: measures of the exact solver."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Column
from ddlab.measures.base import Measure, Snapshot, Spectrum


def _spectrum(snapshot: Snapshot) -> Spectrum:
    assert snapshot.spectrum is not None  # `settle` refuses a measure that needs one elsewhere
    return snapshot.spectrum


@dataclass(frozen=True)
class Conditioning(Measure):
    """smallest_singular_value (not zero) of the training features, and condition_number, the largest over it; nan if all are 0"""

    needs_spectrum = True

    def columns(self) -> dict[str, Column]:
        return {
            "smallest_singular_value": Column("smallest singular value"),
            "condition_number": Column("condition number"),
        }

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        values = _spectrum(snapshot).singular_values
        smallest = jnp.min(jnp.where(values > 0, values, jnp.where(values[0] > 0, jnp.inf, jnp.nan)))
        return {"smallest_singular_value": smallest, "condition_number": values.max() / smallest}


@dataclass(frozen=True)
class DegreesOfFreedom(Measure):
    """degrees_of_freedom: the trace of the map from training targets to fitted values, the sum of the learned shares."""

    needs_spectrum = True

    def columns(self) -> dict[str, Column]:
        return {"degrees_of_freedom": Column("degrees of freedom")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"degrees_of_freedom": _spectrum(snapshot).learned.sum()}


@dataclass(frozen=True)
class NoiseVariance(Measure):
    """variance_noise: the part of the risk that is the variance over the noise of the training targets, in closed form.

    s2 sum_i (learned_i / s_i)^2 mean_x <v_i, x>^2, for singular values s_i and right singular vectors v_i, given the training
    inputs and the features. Not measured (nan) where targets are classes.
    """

    needs_spectrum = True

    def columns(self) -> dict[str, Column]:
        return {"variance_noise": Column("variance over the noise of the training targets")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        spectrum = _spectrum(snapshot)
        if snapshot.noise_variance is None:
            return {"variance_noise": jnp.full_like(spectrum.learned[0], jnp.nan)}
        values = spectrum.singular_values
        gain = jnp.where(values > 0, spectrum.learned / jnp.where(values > 0, values, 1), 0)
        along = jnp.mean(jnp.square(spectrum.test_modes()), axis=0)
        return {"variance_noise": snapshot.noise_variance * jnp.sum(jnp.square(gain) * along)}
