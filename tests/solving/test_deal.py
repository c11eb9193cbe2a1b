"""How trials are dealt to problems."""

from __future__ import annotations

import pytest

from ddlab.solving.deal import deal
from tests.support import leaves_of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("num_devices", "shape"), [(1, (3, 4, 2)), (2, (6, 2, 2)), (16, (12, 1, 2))])
def test_problems_are_dealt_evenly_with_widths_ascending(num_devices, shape):
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    trials = [
        {**base, "init_seed": seed, "model.width": width, "optimizer.weight_decay": penalty}
        for width in (8, 2, 40, 20)
        for seed in range(3)
        for penalty in (0.0, 0.1)
    ]
    problems = deal(trials, num_devices)
    assert problems.shape == shape
    assert sorted(problems.ravel()) == list(range(24))
    for problem in problems:
        assert len({trials[index]["init_seed"] for index in problem.ravel()}) == 1
        widths = [{trials[index]["model.width"] for index in row} for row in problem]
        assert [len(width) for width in widths] == [1] * len(widths)
        assert sorted(widths, key=min) == widths


def test_few_trials_are_repeated_where_some_inputs_have_more_widths():
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    one_width = [{**base, "init_seed": seed, "model.width": 7} for seed in range(30)]
    all_widths = [{**base, "init_seed": 30, "model.width": width} for width in range(1, 21)]
    problems = deal([*one_width, *all_widths], 2)
    assert set(problems.ravel()) == set(range(50))
    assert problems.size <= 60
