"""What the teachers of a pack's trials give for their training inputs: a column of the data.

No teacher is in a compiled program, so that one of any network may have any number of students.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from ddlab.config.trial import Leaves, parse
from ddlab.data import Spec
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.devices.local import precision
from ddlab.job.parents import Parents
from ddlab.parameters import filled
from ddlab.starts import Kept
from ddlab.training.network import Network
from ddlab.training.pooled import TAUGHT, TRAIN_INPUTS
from ddlab.training.prepare import Prepared
from ddlab.training.state import TrialState


def taught(prepared: Prepared, parents: Parents) -> Prepared:
    """Return a pack with the outputs of its teachers; those of a trial whose teacher does not live mean nothing.

    Args:
        prepared: the pack, whose column of these is empty.
        parents: the teachers.
    """
    inputs = prepared.compiled.inputs
    if TAUGHT not in inputs.shared:
        return prepared
    column, spec = np.zeros_like(inputs.shared[TAUGHT]), prepared.compiled.program.network.spec
    places, of = inputs.trial.which[TAUGHT], inputs.trial.which[TRAIN_INPUTS]
    for row in np.unique(places, return_index=True)[1]:
        ref, *_ = parse(prepared.trials[row]).train.teacher.refs()
        if parents.lives(ref):
            examples = inputs.shared[TRAIN_INPUTS][of[row]]
            column[places[row]] = outputs(parents.leaves(ref), parents.kept(ref, False), spec, examples)
    shared = {**inputs.shared, TAUGHT: column}
    return replace(prepared, compiled=replace(prepared.compiled, inputs=inputs._replace(shared=shared)))


def outputs(leaves: Leaves, kept: Kept, spec: Spec, inputs: np.ndarray) -> np.ndarray:
    """Return what the network of a trial gives for inputs [N, ...], [N, *spec.output_shape].

    Args:
        leaves: of the trial.
        kept: of it, padded as its pack was.
        spec: what inputs and outputs are.
        inputs: real numbers, or tokens.
    """
    config = parse(leaves)
    pieces = [inputs[start : start + MOST_EXAMPLES] for start in range(0, len(inputs), MOST_EXAMPLES)]
    with precision(config.train):
        network = Network.of(config, spec)
        shapes = jax.eval_shape(network.init, config.model, jax.ShapeDtypeStruct((2,), np.uint32))
        params, constants, moving = map(filled, shapes, (kept.params, kept.constants, kept.moving))
        state = TrialState(params, None, constants, moving, None, {})
        give = jax.jit(lambda state, inputs: network.apply(state.params, state, inputs)[0].outputs)
        return np.concatenate([jax.device_get(give(state, piece)) for piece in pieces])
