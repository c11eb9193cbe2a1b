"""What names a trial, and what does not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from ddlab.config import Mark, leaf
from ddlab.config.components import component_class, public_name
from ddlab.config.identity import Naming, identify
from ddlab.config.trial import build, effective
from ddlab.errors import ConfigError
from ddlab.models import MLP
from tests.support import leaves_of


def test_the_order_of_the_leaves_is_no_part_of_a_name():
    leaves = leaves_of()
    assert identify(dict(reversed(leaves.items()))) == identify(leaves)


@pytest.mark.parametrize(
    "override",
    ["seed=1", "init_seed=1", "batch_seed=1", "data.seed=1", "data.noise_seed=1", "data.label_noise=0.1", "model.width=65"],
)
@pytest.mark.parametrize("also", ["optimizer.learning_rate=0.1", "train.steps=7", "train.batch_size=7", "train.dtype=float64"])
def test_what_the_weights_depend_on_is_in_both_names(override, also):
    ours, theirs, both = identify(leaves_of()), identify(leaves_of(override)), identify(leaves_of(override, also))
    assert len({ours.weights_id, theirs.weights_id, both.weights_id}) == 3
    assert len({ours.trial_id, theirs.trial_id, both.trial_id}) == 3


@pytest.mark.parametrize(
    "override",
    [
        "train.num_evals=7",
        "train.eval_spacing=linear",
        "train.stop_metric=train_loss",
        "train.stop_below=0.5",
        "train.divergence_factor=10",
        "measures=none",
        "measures.weight_norm=null",
        "+measures.more={_target_:ddlab.measures.Predictions,points:3}",
    ],
)
def test_what_is_recorded_and_when_a_trial_ends_is_in_its_own_name_only(override):
    ours, theirs = identify(leaves_of()), identify(leaves_of(override))
    assert ours.weights_id == theirs.weights_id
    assert ours.trial_id != theirs.trial_id


@dataclass(frozen=True)
class _Before:
    """An optimizer's config before a knob is added to it ..."""

    learning_rate: float = leaf("rate", Mark.TRACED, above=0)


@dataclass(frozen=True)
class _After(_Before):
    """... and after."""

    grokfast: float = leaf("strength of a knob", Mark.TRACED, low=0, off=0.0)


@pytest.fixture
def upgraded(monkeypatch):
    """Leaves of one trial before and after a knob was added to its optimizer's class."""

    def leaves(cls, **fields):
        module = ModuleType(f"{cls.__name__}_of_a_user")
        module.Rule = cls
        monkeypatch.setitem(sys.modules, module.__name__, module)
        kept = {key: value for key, value in leaves_of().items() if not key.startswith("optimizer.")}
        target = f"{module.__name__}.Rule"
        # The name that is hashed is that of one class, as if its file had been edited.
        return {**kept, "optimizer._target_": target, **{f"optimizer.{key}": value for key, value in fields.items()}}

    before = leaves(_Before, learning_rate=0.1)
    off, on = (leaves(_After, learning_rate=0.1, grokfast=value) for value in (0.0, 0.5))
    return before, off, on


def test_a_knob_that_is_added_and_off_renames_nothing(upgraded):
    before, off, on = upgraded
    names = Naming(off, own=["optimizer._target_"])
    same_class = {"optimizer._target_": names.piece("optimizer._target_", before["optimizer._target_"])}
    assert names.identity(same_class) == identify(before)
    assert Naming(on, own=["optimizer._target_"]).identity(same_class).weights_id != identify(before).weights_id
    assert build(off, "optimizer") == _After(learning_rate=0.1)
    assert "optimizer.grokfast" not in effective(off)
    assert "optimizer.grokfast" in effective(on)


def test_a_config_that_lacks_a_knob_has_it_off():
    leaves = {key: value for key, value in leaves_of("optimizer=adam").items() if key != "optimizer.warmup_steps"}
    assert identify(leaves) == identify(leaves_of("optimizer=adam"))
    assert build(leaves, "optimizer") == build(leaves_of("optimizer=adam"), "optimizer")


def test_where_a_file_lies_is_no_part_of_a_name():
    base = {**leaves_of(), "data._target_": "ddlab.data.Npz", "data.checksum": "0" * 16}
    assert identify({**base, "data.path": "/here"}) == identify({**base, "data.path": "/there"})


def test_a_class_of_ddlab_is_named_by_package_and_class_whatever_its_file(monkeypatch):
    assert public_name(MLP) == "ddlab.models.MLP"
    monkeypatch.setattr(MLP, "__module__", "ddlab.models.elsewhere")
    assert public_name(MLP) == "ddlab.models.MLP"
    assert component_class("model", "ddlab.models.MLP") is MLP


def test_a_path_to_the_file_of_a_class_is_refused_with_its_public_name():
    with pytest.raises(ConfigError, match=r"model._target_=ddlab.models.mlp.MLP: goes by its public name, ddlab.models.MLP"):
        component_class("model", "ddlab.models.mlp.MLP")


def test_names_are_the_same_in_every_version_of_the_program():
    """Golden: sha256sum of the text in each comment, 16 digits. They change only with SCHEMA_VERSION.

    With other names, stored sweeps would be trained again.
    """
    leaves = {"seed": 3, "train.steps": 5, "train.num_evals": 2}
    weights_id, trial_id = identify(leaves)
    assert weights_id == "ec39d7722ea02b43"  # {"schema":3,"seed":3,"train.steps":5}
    assert trial_id == "c7e49ada145c0bd7"  # {"weights":"ec39d7722ea02b43","train.num_evals":2}


def test_trials_of_one_shape_are_named_as_each_alone():
    base = leaves_of("data.label_noise=0.2")
    names = Naming(base, own=["data.label_noise", "seed"])
    for noise, seed in ((0.2, 0), (0.0, 1), (0.4, 5)):
        own = {"data.label_noise": names.piece("data.label_noise", noise), "seed": names.piece("seed", seed)}
        assert names.identity(own) == identify({**base, "data.label_noise": noise, "seed": seed})
