"""Checkpoints: bit for bit, of their own trials, and never one that has changed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ddlab.files import DamagedPart
from ddlab.job.timing import Timing
from ddlab.training.checkpoints import Checkpoint, Checkpoints
from ddlab.training.state import State, TrialState
from tests.support import flipped

TRIAL = TrialState(
    {"w": np.linspace(0, 1, 500, dtype=np.float32)}, None, {}, {}, (np.zeros((0, 2)), np.arange(9.0).reshape(3, 3)), {}
)
STATE = State(np.array(7, np.int32), TRIAL)


def test_a_checkpoint_comes_back_bit_for_bit_and_of_no_other_trials(tmp_path):
    Checkpoints(tmp_path, ["a", "b"]).save(Checkpoint(STATE, 3, 2, Timing(run=1.5)))
    found = Checkpoints(tmp_path, ["a", "b"]).restore(STATE)
    assert found is not None
    assert (found.num_evals, found.num_parts, found.timing.run) == (3, 2, 1.5)
    np.testing.assert_array_equal(found.state.trial.params["w"], TRIAL.params["w"])
    np.testing.assert_array_equal(found.state.trial.optimizer[1], TRIAL.optimizer[1])
    with pytest.warns(DamagedPart, match="of other trials"):
        assert Checkpoints(tmp_path, ["b", "a"]).restore(STATE) is None
    other = STATE._replace(trial=TRIAL._replace(params={"v": TRIAL.params["w"]}))
    with pytest.warns(DamagedPart, match="of another program"):
        assert Checkpoints(tmp_path, ["a", "b"]).restore(other) is None


def test_no_flipped_bit_of_a_checkpoint_is_unnoticed(tmp_path):
    """A hundred and fifty anywhere, and every bit of the archive that is none of the arrays' numbers."""
    checkpoints = Checkpoints(tmp_path, ["a"])
    checkpoints.save(Checkpoint(STATE, 3, 2, Timing()))
    files = [tmp_path / "eval=00003" / name for name in ("arrays.npz", "about.json")]
    contents = [path.read_bytes() for path in files]
    moments = random.Random(1)
    places = [(k, moments.randrange(8 * len(contents[k]))) for k in (0, 1) for _ in range(75)]
    start = contents[0].index(TRIAL.params["w"].tobytes())
    numbers = range(start, start + TRIAL.params["w"].nbytes)
    places += [(0, 8 * byte + moments.randrange(8)) for byte in range(len(contents[0])) if byte not in numbers]
    for chosen, bit in places:
        files[chosen].write_bytes(flipped(contents[chosen], bit))
        with pytest.warns(DamagedPart, match="damaged, not used"):
            assert checkpoints.restore(STATE) is None
        files[chosen].write_bytes(contents[chosen])
    assert checkpoints.restore(STATE) is not None
