"""The modes of nested features are a singular value decomposition."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.solving.modes import GRAM_CONDITION, inverse, nested

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


@pytest.mark.parametrize("shape", [(60, 60), (60, 90), (90, 60)])
@pytest.mark.parametrize("condition", [1e2, 1e5, 1e10])
def test_the_modes_are_the_singular_value_decomposition_at_any_condition(shape, condition):
    """Below GRAM_CONDITION squared singular values are right to eps cond^2 = 1e-8, above the svd's own to eps cond."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(size, 60)))[0] for size in shape)
    values = np.geomspace(1, 1 / condition, 60)
    x = left * values @ right.T
    y = np.ones((shape[0], 1))

    @jax.jit
    def modes_of(columns, width, scale):
        begin, step = nested(columns)
        return step(begin, width, scale)[1]

    scale = np.full(shape[1], 0.5)
    modes = modes_of(x / scale, np.int32(shape[1]), scale)
    tolerance = 1e-7 if condition < GRAM_CONDITION else 1e-14 * condition
    np.testing.assert_allclose(modes.values, values, rtol=tolerance)
    np.testing.assert_allclose(modes.left * modes.values @ modes.along_right(np.eye(60)).T, x, atol=1e-12)
    solution = modes.along_right(inverse(modes.values)[:, None] * (modes.left.T @ y))
    expected = right / values @ (left.T @ y)
    np.testing.assert_allclose(solution, expected, atol=tolerance * np.abs(expected).max())
