"""`ddlab check`: what it prints, its exit status, and its words for a mistake."""

from __future__ import annotations

import pytest

from ddlab.cli import main
from ddlab.commands.completion import complete
from ddlab.config import catalog

BROKEN = "tests.contracts.broken"


def test_a_broken_rule_is_named_with_its_reason(monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["check", "tests.contracts.broken_data.NotNested", "num_train=6"]) == 1
    printed = capfd.readouterr()
    lines = [line.strip() for line in printed.out.splitlines()]
    assert lines[0] == "tests.contracts.broken_data.NotNested (data set)"
    assert "kept     Loaded twice it is the same, bit for bit." in lines
    assert "broken   A smaller training set is the first examples of a larger one, where NESTED_BY says so." in lines
    assert "half of num_train gives training inputs that are not the first of the whole" in lines
    assert lines[-1] == "5 kept, 1 broken"
    assert printed.err == ""


def test_an_option_that_keeps_every_rule_is_no_failure(capfd):
    assert main(["check", "optimizer=ridge", "model.width=3"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "optimizer=ridge (closed form), tried with data.Sphere, models.RandomFeatures"
    assert lines[-1] == "4 kept"


def test_without_a_target_every_option_has_a_line(workplace, monkeypatch, capfd):
    (workplace / "configs/data").mkdir(parents=True)
    (workplace / "configs/data/mine.yaml").write_text(
        "_target_: tests.contracts.broken_data.NotNested\nnum_train: 5\nnoise: 0.1\n"
    )
    assert "data=mine" in catalog.component_options()
    monkeypatch.setattr(catalog, "component_options", lambda: ["data=interval", "data=mine", "data=npz"])
    assert main(["check"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "data=interval  6 kept"
    assert lines[1] == "data=mine      5 kept, 1 broken"
    assert "data=npz       not checked: data.path: has no value; give data.path=VALUE" in lines


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mine.MyModel"], "mine.MyModel: cannot be imported (No module named 'mine')"),
        ([f"{BROKEN}.Nothing"], f"{BROKEN}.Nothing: cannot be imported (module '{BROKEN}' has no attribute 'Nothing')"),
        ([f"{BROKEN}.Network"], f"{BROKEN}.Network: must be a dataclass; its fields are the component's config"),
        (["ddlab.data.Spec"], "ddlab.data.Spec: is no component; derive it from one of ddlab.data.DataSource,"),
        (["ddlab.data.npz.Npz"], "ddlab.data.npz.Npz: goes by its public name, ddlab.data.Npz"),
        (["mlp"], "mlp: name a class as module.Class, or an option as group=option. did you mean 'model=mlp'?"),
        (["model=mpl"], "model=mpl: no such option with a component. did you mean 'mlp'?"),
        (
            ["train=exact"],
            "train=exact: no config group of components. known: augment, data, loss, mask, measures, model, modifier, optimizer,"
            " schedule, score, teacher, values",
        ),
        (["model=mlp", "widht=3"], "widht=3: MLP has no field 'widht'. did you mean 'width'?"),
        (["model=mlp", "width"], "width: must be field=value, or an override of the trial that it is tried in"),
        (["model=mlp", "width=0"], "model.width=0: must be at least 1"),
        (["model=mlp", "width=many"], "model.width=many: Value 'many' of type 'str' could not be converted to Integer"),
        (["model=mlp", "width=2,3"], "model.width=2,3: is a sweep; a component is checked at one value"),
        (["model=mlp", "data=modula"], "data=modula: no such option. did you mean 'modular'?"),
        (["model=mlp", "data.modulsu=5"], "unknown key 'data.modulsu'"),
        (["model=mlp", "train.dtype=float32"], "train.dtype=float32: must be float64 in a check"),
        (["model=linear", "data=modular"], "model: a linear model takes real inputs, not tokens"),
        (["model=mlp", "optimizer=ridge"], "train.loss=ddlab.losses.CrossEntropy: must be mse for a closed-form optimizer"),
        (["data=digits", "num_train=5000"], "data.num_train=5000: must be at least 1 and at most 1796"),
        (["data=npz", "path=/nothing"], "data.path=/nothing: No such file or directory"),
        (["data=npz"], "data.path: has no value; give data.path=VALUE"),
        (["ddlab.data.Npz"], "ddlab.data.Npz.path: has no value; give path=VALUE (str: the .npz file)"),
    ],
)
def test_a_mistake_is_one_line(words, expected, capfd):
    assert main(["check", *words]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ddlab: {expected}")
    assert printed.err.count("\n") == 1


def test_targets_and_what_they_are_tried_on_are_completed():
    assert complete("ddlab check model=m") == ["model=mlp", "model=moe"]
    assert complete("ddlab check mine.MyModel data=mod") == ["data=modular"]
    assert complete("ddlab check model=mlp wi") == ["width="]
    assert set(catalog.component_options()) == set(complete("ddlab check "))
