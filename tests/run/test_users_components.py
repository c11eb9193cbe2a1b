"""A user's own components: what works under any name, and one line that names the class for what does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ddlab.cli import main
from ddlab.config import Column, Mark, leaf
from ddlab.config.trial import build
from ddlab.data import Dataset, DataSource, Field, Spec, Split, describe, load
from ddlab.errors import ComponentError, ConfigError
from ddlab.measures import Measure
from ddlab.models import Model, matmul
from ddlab.plan.shapes import Part
from ddlab.plan.trials import make_trials
from ddlab.run.settle import settle
from tests.support import leaves_of

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEP = """\
defaults: [ddlab, _self_]
axes: {seed: range(2)}
data: {num_train: 200, num_test: 100}
train: {steps: 2, batch_size: 20, num_evals: 2}
"""


# Trained, and solved in closed form.
EXACT = ("model=linear", "model.width=10", "optimizer=ridge", "measures=exact", "train.batch_size=null", "train.loss=mse")
METHODS = ((), (*EXACT, "train.dtype=float64"))


class Network(nnx.Module):
    def __init__(self, first, second):
        self.first, self.second = first, second

    def __call__(self, x):
        return matmul(jnp.tanh(matmul(x, self.first[...])), self.second[...])


class WithStatistics(Network):
    def __init__(self, first, second):
        super().__init__(first, second)
        self.mean = nnx.Cache(jnp.zeros(10))


class WithAuxiliaryOutput(Network):
    def __call__(self, x):
        return super().__call__(x), x


class OneOutput(Network):
    def __call__(self, x):
        return super().__call__(x)[:, 0]


@dataclass(frozen=True)
class Units(Model):
    """A model whose width is called `units`; P = (40 + 10) units."""

    units: int = leaf("units", Mark.SIZE, low=1, high=10**4)
    num_params: int | None = leaf("wanted parameters", low=1)
    network: str = leaf("class")

    def make(self, spec, init):
        if self.network == "none":
            return None
        if self.network == "wrong":
            raise ValueError("two\nlines")
        inputs, units = init.axis("inputs", 40), init.axis("units", self.units)
        outputs = init.axis("outputs", spec.num_outputs)
        return globals()[self.network](init.normal("a", (inputs, units), 0.1), init.normal("b", (units, outputs), 0.1))


@dataclass(frozen=True)
class FixedUnits(Units):
    units: int = leaf("units", low=1)


@dataclass(frozen=True)
class TwoWidths(Model):
    first: int = leaf("units", Mark.SIZE, low=1)
    second: int = leaf("more units", Mark.SIZE, low=1)
    num_params: int | None = leaf("wanted parameters", low=1)

    def make(self, spec, init):
        raise AssertionError("it is refused before")


@dataclass(frozen=True)
class NoModel:
    units: int = leaf("units", low=1)


@dataclass(frozen=True)
class Fails(Model):
    """Its constructor does."""

    units: int = leaf("units", low=1)

    def __post_init__(self):
        raise RuntimeError("no units")

    def make(self, spec, init):
        raise AssertionError("there is no model to ask")


@dataclass(frozen=True)
class Own(DataSource):
    kind: str = leaf("what is wrong")
    num_train: int = leaf("training examples", low=1)

    def load(self):
        if self.kind == "fails":
            raise OSError("no such disk")
        x, y = np.zeros((50, 40), np.float32), np.arange(50, dtype=np.int32) % 10
        n = self.num_train
        train, test = Split(x[:n], y[:n]), Split(x[n:], y[n:])
        wrong = {
            "fine": {},
            "short": {"train": train._replace(targets=y[: n - 1])},
            "label": {"train": train._replace(targets=y[:n] + 1)},
            "real labels": {"train": train._replace(targets=y[:n] * 1.0)},
            "nan": {"test": test._replace(inputs=x[n:] * np.nan)},
            "list": {"train": train._replace(inputs=x[:n].tolist())},
            "other shape": {"test": test._replace(inputs=x[n:, 1:])},
            "no test": {"test": None},
            "other targets": {"validation": Split(x[n:], y[n:, None])},
        }
        if self.kind in wrong:
            splits = {"train": train, "test": test, **wrong[self.kind]}
            return Dataset({name: split for name, split in splits.items() if split}, 10)
        kinds = {
            "token": {"num_classes": 10, "num_tokens": 3},
            "classes for reals": {"noise_variance": 1.0},
            "short truth": {"num_classes": 10, "truth": y[: n - 1]},
            "wrong truth": {"num_classes": 10, "truth": y[:n] - 1},
        }
        return Dataset({"train": train, "test": test}, **kinds[self.kind]) if self.kind in kinds else None


@dataclass(frozen=True)
class Lies(Own):
    def describe(self):
        return Spec(Field((40,)), Field(size=10), {"train": 1, "test": 1})


@dataclass(frozen=True)
class Gives(Measure):
    what: str = leaf("kind of value")

    def columns(self):
        name = {"matrix": "m", "taken": "train_loss", "vector": "v", "status": "status"}.get(self.what, "fine")
        return {name: Column("made up")}

    def __call__(self, snapshot):
        given = {"number": 1.0, "matrix": {"m": jnp.zeros((2, 3))}, "other": {"more": jnp.zeros(())}}
        return {**given, "fine": {"fine": jnp.zeros(())}, "vector": {"v": jnp.zeros(3)}}[self.what]


@dataclass(frozen=True)
class Between(Measure):
    low: float = leaf("least value", Mark.TRACED)
    high: float = leaf("greatest value", Mark.TRACED)

    def check(self):
        if not self.low < self.high:
            raise ConfigError(f"low={self.low}: must be below high={self.high}")

    def columns(self):
        return {"between": Column("distance")}

    def __call__(self, snapshot):
        return {"between": jnp.asarray(self.high - self.low)}


def model(cls, **fields):
    fields = {"units": 6, "num_params": "null", "network": "Network", **fields}
    known = cls.__dataclass_fields__
    given = ",".join(f"{name}:{value}" for name, value in fields.items() if name in known)
    return "~model", f"+model={{_target_:tests.run.test_users_components.{cls.__name__},{given}}}"


def data(kind, cls="Own", num_train=30):
    words = "~data", f"+data={{_target_:tests.run.test_users_components.{cls},kind:{kind},num_train:{num_train}}}"
    return build(leaves_of(*words), "data")


@pytest.mark.parametrize(("wanted", "units"), [(300, 6), (1010, 20), (50, 1)])
def test_the_width_is_solved_for_whatever_its_name(wanted, units):
    leaves, size, *_ = settle(leaves_of(*model(Units, num_params=wanted)))
    assert leaves["model.units"] == units
    assert leaves["model.num_params"] is None
    assert size.num_params == 50 * units


def test_a_model_without_a_width_cannot_be_solved_for():
    with pytest.raises(ConfigError, match=r"model\.num_params=300: FixedUnits has no field of mark SIZE to solve for"):
        settle(leaves_of(*model(FixedUnits, num_params=300)))


def test_more_parameters_than_any_width_has_are_refused():
    with pytest.raises(ConfigError, match=r"model\.num_params=999999: is more than Units has at any units up to 10000"):
        settle(leaves_of(*model(Units, num_params=999999)))


@pytest.mark.parametrize("cls", [Units, FixedUnits])
def test_a_shape_knows_the_width_of_a_users_model(cls):
    leaves = leaves_of(*model(cls))
    shapes = {trial.shape.width for trial in make_trials([Part({}, {}, leaves, {}, {"model.units": (3, 6)})], settle)}
    assert shapes == ({3, 6} if cls is Units else {0})


def test_the_plan_shows_the_width_of_a_users_model(workplace, capsys):
    Path("own.yaml").write_text(SWEEP)
    assert main(["plan", "own.yaml", *model(Units), "model.units=3,17"]) == 0
    assert "3-17" in capsys.readouterr().out
    assert main(["plan", "own.yaml", *model(FixedUnits), "model.units=3"]) == 0
    assert " -  " in capsys.readouterr().out


def test_one_width_is_solved_for_not_two():
    words = "~model", "+model={_target_:tests.run.test_users_components.TwoWidths,first:2,second:2,num_params:300}"
    with pytest.raises(ConfigError, match=r"model\.num_params=300: TwoWidths has 2 fields of mark SIZE to solve for"):
        settle(leaves_of(*words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            model(Units, network="WithStatistics"),
            "Units.make: TypeError: variables must be nnx.Param, .* or nnx.BatchStat; Cache is none of them",
        ),
        (model(Units, network="WithAuxiliaryOutput"), r"Units.make: TypeError: .* shape \(1, 10\), one array; it gave tuple"),
        (model(Units, network="OneOutput"), r"Units.make: TypeError: .* shape \(1, 10\), one array; it gave \(1,\)"),
        (model(Units, network="none"), "Units.make: TypeError: must return a flax.nnx.Module, not NoneType"),
        (model(Units, network="wrong"), "Units.make: ValueError: two lines"),
        (model(Fails), "tests.run.test_users_components.Fails: RuntimeError: no units"),
    ],
)
def test_an_error_in_a_users_model_names_its_class(words, message):
    with pytest.raises(ComponentError, match=message) as caught:
        settle(leaves_of(*words))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fails", "OSError: no such disk"),
        ("none", "must return a ddlab.data.Dataset, not NoneType"),
        ("short", r"train.inputs \(30, 40\) and train.targets \(29,\)"),
        ("label", "train.targets must be integer classes from 0 to 9"),
        ("real labels", "train.targets must be integer classes"),
        ("nan", "test.inputs must be finite"),
        ("list", "must be NumPy arrays"),
        ("other shape", "as many examples, of one shape"),
        ("token", "must be integer tokens from 0 to 2"),
        ("classes for reals", "train.targets must be real numbers, or there must be num_classes"),
        ("no test", "must have a split 'test'"),
        ("short truth", r"truth must have the shape of train.targets, \(30,\)"),
        ("wrong truth", "truth must be integer classes from 0 to 9"),
        ("other targets", r"validation.targets \(20, 1\) must have as many examples, of one shape"),
    ],
)
def test_an_error_in_a_users_data_names_its_class(kind, message):
    for use in (describe, load):
        with pytest.raises(ComponentError, match=f"tests.run.test_users_components.Own.load: .*{message}"):
            use(data(kind))


def test_data_that_are_described_otherwise_than_they_are_are_refused():
    assert describe(data("fine")) == load(data("fine")).spec
    with pytest.raises(ComponentError, match=r"Lies\.load: ValueError: gives Spec"):
        load(data("fine", "Lies"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["number"], "tests.run.test_users_components.Gives: TypeError: must return a mapping from names to numbers, not float"),
        (["matrix"], "tests.run.test_users_components.Gives: TypeError: 'm' must be a real number or a short vector"),
        (["taken"], "measures.m0: gives train_loss, which is another column's name"),
        (["status"], "measures.m0: gives status, which is another column's name"),
        (["other"], "tests.run.test_users_components.Gives: TypeError: gives more, and its columns are fine"),
        (["nothing"], "tests.run.test_users_components.Gives: KeyError: 'nothing'"),
        (["fine", "fine"], "measures.m1: gives fine, which is another column's name"),
        (["fine", "train.stop_metric=fin"], "train.stop_metric=fin: no such metric. did you mean 'fine'?"),
        (["vector", "train.stop_metric=v"], "train.stop_metric=v: no such metric."),
    ],
)
def test_what_measures_give_is_known_before_anything_is_stored(workplace, capfd, words, expected):
    Path("own.yaml").write_text(SWEEP)
    kinds = [word for word in words if "=" not in word]
    given = [f"+measures.m{k}={{_target_:tests.run.test_users_components.Gives,what:{kind}}}" for k, kind in enumerate(kinds)]
    for method in METHODS:
        assert main(["sweep", "own.yaml", *method, *given, *[word for word in words if "=" in word]]) == 2
        printed = capfd.readouterr().err
        assert expected in printed
        assert printed.count("\n") == 1
        assert not Path("results").exists()


def test_a_component_is_checked_at_every_value_that_it_has(workplace, capfd):
    Path("own.yaml").write_text(SWEEP)
    measure = "+measures.between={_target_:tests.run.test_users_components.Between,low:0,high:1}"
    assert main(["plan", "own.yaml", measure, "measures.between.low=0,0.5", "measures.between.high=1,2"]) == 0
    capfd.readouterr()
    assert main(["plan", "own.yaml", measure, "measures.between.low=0,1.5", "measures.between.high=1,2"]) == 2
    assert "low=1.5: must be below high=1.0" in capfd.readouterr().err
