"""Where trials lie: every live trial in exactly the tiles that run, uneven counts included."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.devices.layout import Layout
from ddlab.training.state import State, TrialState

pytestmark = pytest.mark.numeric


def running(layout):
    """Return the trials in the slots of the tiles that run."""
    of_device = layout.slots.reshape(len(layout.devices), layout.num_tiles, layout.tile)
    return [trial for tiles, busy in zip(of_device, layout.busy, strict=True) for trial in tiles[:busy].ravel()]


@pytest.mark.parametrize("num_trials", [1, 2, 3, 7, 21, 64])
@pytest.mark.parametrize("tile", [1, 4, 5, 100])
def test_every_trial_runs_and_is_found_again(num_trials, tile):
    layout = Layout.of(num_trials, tile)
    assert len(layout.devices) == min(num_trials, jax.local_device_count())
    assert layout.tile <= 1.25 * tile
    assert set(running(layout)) == set(range(num_trials))
    np.testing.assert_array_equal(layout.slots[layout.places], np.arange(num_trials))
    assert len(layout.slots) < num_trials + len(layout.devices) * (1 + layout.tile / 2)


@pytest.mark.parametrize("ended", [(), (0,), (20,), tuple(range(1, 21)), tuple(range(0, 21, 2)), tuple(range(11))])
def test_only_live_trials_run_once_others_have_ended(ended):
    alive = np.ones(21, bool)
    alive[list(ended)] = False
    layout = Layout.of(21, 2).with_trials(alive)
    assert set(running(layout)) == set(np.flatnonzero(alive))
    np.testing.assert_array_equal(layout.slots[layout.places][alive], np.flatnonzero(alive))
    assert layout.busy.sum() <= np.ceil(alive.sum() / layout.tile) + 1
    assert len(layout.slots) == len(Layout.of(21, 2).slots)


def test_arrays_come_back_from_the_devices_as_they_went():
    layout = Layout.of(7, 2)
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    state = layout.put(State(np.int32(5), TrialState({"w": rows}, None, (), (), [rows[:, 0]], ())))
    assert int(state.step) == 5
    assert {device for shard in state.trial.params["w"].addressable_shards for device in [shard.device]} == set(layout.devices)
    taken = layout.take(state.trial)
    np.testing.assert_array_equal(taken.params["w"], rows)
    np.testing.assert_array_equal(taken.optimizer[0], rows[:, 0])
