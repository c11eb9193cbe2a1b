"""The schema: flat leaves, range checks, components of a user's own, and every shipped option."""

from __future__ import annotations

import dataclasses

import pytest

from ddlab.config import Mark, catalog, leaf
from ddlab.config.declare import Leaf
from ddlab.config.schema import Train
from ddlab.config.trial import build, check, declarations, flatten, section
from ddlab.errors import ConfigError
from tests.support import leaves_of

GROUPS = {
    path.parent.name + "=" + path.stem: path for path in sorted(catalog.shipped("configs").glob("*/*.yaml")) if path.stem != "npz"
}

# What an option is for, where that is not what the base config has.
BESIDE = dict.fromkeys(("measures=circuit", "measures=pizza"), ("data=modular", "model=transformer"))
BESIDE |= {
    "mask=copy": ("start.mask.of=a",),
    "values=trial": ("start.values.of=a",),
    "values=average": ("start.values.of=[a]",),
    "values=norm": ("start.values.of=a",),
    "teacher=trial": ("train.teacher.of=a",),
    "values=between": ("start.values.of=a", "start.values.other=b"),
}
BESIDE |= dict.fromkeys((option for option in GROUPS if option.startswith("score=")), ("start.mask=cut",))


@dataclasses.dataclass(frozen=True)
class Own:
    """A user's own component."""

    strength: float = leaf("how strong", Mark.TRACED, low=0)


def test_flatten_and_section_are_inverse():
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": [1, 2]}
    flat = flatten(nested)
    assert flat == {"a.b": 1, "a.c.d": None, "e": (1, 2)}
    assert section(flat, "a") == nested["a"]


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        (Leaf("", low=1), (1, 2.5, None), (0, -3, float("nan"), float("inf"))),
        (Leaf("", above=0, high=1), (1e-9, 1), (0, 1.01)),
        (Leaf("", choices=("a", "b")), ("a", None), ("c", "", 3)),
        (Leaf(""), (0, -5, "text", True), (float("inf"),)),
    ],
)
def test_ranges(declared, good, bad):
    for value in good:
        declared.check("key", value)
    for value in bad:
        with pytest.raises(ConfigError, match="key="):
            declared.check("key", value)


@pytest.mark.parametrize("option", GROUPS)
def test_every_shipped_option_composes_and_is_in_range(option):
    group, _, name = option.partition("=")
    check(leaves_of(*BESIDE.get(option, ()), f"{catalog.place(group, name)}={name}"))


@pytest.mark.parametrize("option", GROUPS)
def test_every_default_of_an_option_is_commented(option):
    lines = GROUPS[option].read_text().splitlines()
    assert lines[0].startswith("# ")
    assert not [line for line in lines if ":" in line and "#" not in line and "_target_:" not in line]


def test_every_field_is_documented():
    leaves = leaves_of()
    for key, declared in declarations(leaves).items():
        assert declared.doc or key.endswith("_target_"), key
    assert all(field.metadata["leaf"].doc for field in dataclasses.fields(Train))


def test_a_users_component_is_typed_and_marked_like_a_shipped_one():
    leaves = leaves_of("+measures.own._target_=tests.config.test_leaves.Own", "+measures.own.strength=2")
    assert leaves["measures.own.strength"] == 2.0
    assert declarations(leaves)["measures.own.strength"].mark is Mark.TRACED
    assert build(leaves, "measures.own") == Own(2.0)
    with pytest.raises(ConfigError, match="weakness"):
        leaves_of("+measures.own._target_=tests.config.test_leaves.Own", "+measures.own.weakness=2")


def test_null_turns_a_measure_off():
    assert not [key for key in leaves_of("measures.gradient_norm=null") if key.startswith("measures.gradient_norm")]


def test_leaves_cannot_be_changed():
    with pytest.raises(TypeError):
        leaves_of()["seed"] = 1  # type: ignore[index]
