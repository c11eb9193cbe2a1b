"""Small sweeps whose values and axes are tried."""

from __future__ import annotations

import pytest

SMALL = """\
defaults:
  - ddlab
  - _self_
axes:
  model.width: 3,5
  seed: range(2)
data: {num_train: 200, num_test: 100}
train: {steps: 2, batch_size: 20, num_evals: 2}
"""

GAUSSIAN = """\
defaults:
  - ddlab
  - override data: gaussian
  - override model: linear
  - override train: exact
  - override optimizer: ridge
  - override measures: exact
  - _self_
axes: {model.width: 3}
data: {num_train: 20, num_test: 10}
"""


@pytest.fixture
def small(workplace):
    (workplace / "small.yaml").write_text(SMALL)
    (workplace / "gaussian.yaml").write_text(GAUSSIAN)
    return "small.yaml"
