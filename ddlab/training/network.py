"""The network of a pack: how it begins, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config.schema import Science
from ddlab.data import Spec
from ddlab.models import Init, Model, Outputs, Training
from ddlab.models.base import VARIABLES, apply_network, is_told, make_network
from ddlab.models.init import draw_words, record_draws
from ddlab.training.state import TrialState


@dataclass(frozen=True, eq=False)
class Network:
    """The network of every trial of a pack: one structure, each trial's own numbers.

    Attributes:
        model: that all trials are padded to.
        spec: sizes of the data.
        sizes: axis -> its size in the arrays of every trial.
        stored: type of the parameters.
        computed: type of the arithmetic.
        graph: the structure.
        draws: parameters that begin at random numbers, name -> shape.
        is_told: it may give something else in training than in evaluation.
    """

    model: Model
    spec: Spec
    sizes: Mapping[str, int]
    stored: Any
    computed: Any
    graph: Any
    draws: Mapping[str, tuple[int, ...]]
    is_told: bool

    @staticmethod
    def of(config: Science, spec: Spec) -> Network:
        """Return the network of a pack by the config that its trials are padded to."""
        stored, computed = jnp.dtype(config.train.storage_dtype), jnp.dtype(config.train.dtype)
        words, draws = record_draws()
        init = Init(words, dtype=stored)
        made = nnx.eval_shape(lambda: make_network(config.model, spec, init))
        return Network(config.model, spec, init.sizes, stored, computed, nnx.split(made, *VARIABLES)[0], draws, is_told(made))

    def init(self, model: Model, key: jax.Array) -> tuple[Any, Any, Any]:
        """Return the parameters, constants and batch statistics at which one trial starts.

        Args:
            model: the trial's own.
            key: [2] uint32, of its stream "init".
        """
        words = draw_words(key, self.draws)
        network = make_network(model, self.spec, Init(lambda name, _shape: words[name], self.sizes, self.stored))
        _, *states = nnx.split(network, *VARIABLES)
        params, constants, moving = states
        return params, constants, moving

    def apply(self, params: Any, state: TrialState, inputs: jax.Array, training: Training | None = None) -> tuple[Outputs, Any]:
        """Return what the network of one trial gives, and its batch statistics after that, of the type of the parameters.

        Args:
            params: of the network.
            state: has the rest of it.
            inputs: of B examples, [B, ...].
            training: what it is told where it is trained on them.
        """
        variables = _of_type((params, state.constants), self.computed)
        network = nnx.merge(self.graph, *variables, _of_type(state.moving, self.stored))  # a copy, which it may change
        outputs = apply_network(self.model, network, _of_type(inputs, self.computed), self.spec, training)
        return _of_type((outputs, nnx.state(network, nnx.BatchStat)), self.stored)

    def is_whole(self, state: TrialState) -> bool:
        """Whether a batch must go through the network in one piece."""
        return self.model.WHOLE_BATCH or bool(jax.tree.leaves(state.moving))


def _of_type(tree: Any, dtype: Any) -> Any:
    """Return a tree whose real numbers are of a type."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
