"""A sweep as its results directory describes it, and whether another may join it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from ddlab.compose.sweep import Sweep
from ddlab.config.trial import Leaves, build, seeds, train_settings
from ddlab.errors import StoreError
from ddlab.plan.shapes import Part
from ddlab.store.store import Store

HEAD = ("title", "paper", "shows", "minutes")


def describe_sweep(name: str, sweep: Sweep, stored_parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of sweep.yaml: the sweep, with the parts that the store holds already."""
    parts = [_describe_part(part) for part in sweep.parts]
    ours = [(part["structural"], part["base"]) for part in parts]
    return {
        "name": name,
        **{key: sweep.config[key] for key in HEAD},
        **reported(sweep),
        "parts": [*parts, *(part for part in stored_parts if (part["structural"], part["base"]) not in ours)],
    }


def reported(sweep: Sweep) -> dict[str, Any]:
    """Return the refinement, the figures and the claims of a sweep, as its file says them."""
    return {key: OmegaConf.to_container(sweep.config[key], resolve=True) for key in ("refine", "figures", "claims")}


def _describe_part(part: Part) -> dict[str, Any]:
    axes = {key: list(values) for key, values in part.axes.items()}
    follows = {alias: axis for alias, (axis, _) in part.aliases.items()}
    choices = {"structural": dict(part.structural), "choices": dict(part.choices)}
    about = {"seeds": list(seeds(part.base)), "columns": _columns(part), "base": listed(part.fixed)}
    return {**choices, "axes": axes, "follows": follows, **about}


def _columns(part: Part) -> dict[str, dict[str, Any]]:
    """Return what the training loss (`loss`) and the measures of a part declare of their columns, by name, flags only if set."""
    measures = build(part.base, "measures").values()
    columns = {"loss": train_settings(part.base).loss.COLUMN}
    for measure in measures:
        columns |= measure.columns()
    said = {name: column._asdict().items() for name, column in columns.items()}
    return {name: {field: value for field, value in about if value is not False} for name, about in said.items()}


def check_same_base(store: Store, stored_parts: Sequence[Mapping[str, Any]], sweep: Sweep) -> None:
    """Refuse to mix trials of another base config into a store, unless `extend=true` asks for it.

    Raises:
        StoreError: naming the first keys that differ, and how to go on.
    """
    for part in sweep.parts:
        alike = [stored for stored in stored_parts if part.stage and stored["structural"] == part.structural]
        differences = [_differences(stored, part) for stored in alike or stored_parts]
        if sweep.config.extend or not differences or [] in differences:
            continue
        least = min(differences, key=len)
        more = f" and {len(least) - 3} more" if len(least) > 3 else ""
        raise StoreError(
            f"out={store.root}: holds a sweep with another base config ({'; '.join(least[:3])}{more});"
            f" name another out=DIR, or add extend=true to mix them"
        )


def _differences(stored: Mapping[str, Any], part: Part) -> list[str]:
    """Return how a part's base differs from a stored one; what another choice of a group brings along does not count."""
    old, new = stored["structural"], part.structural
    if old.keys() == new.keys() and old != new:
        return []
    groups = tuple(f"{group}." for group in old.keys() ^ new.keys())
    bases = (
        {key: value for key, value in base.items() if not key.startswith(groups)} for base in (stored["base"], listed(part.fixed))
    )
    return base_differences(*bases)


def base_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys of two base configs that differ, in words; a key that does nothing at its value is in neither."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) or (key in old) != (key in new)]
    return [f"{key}: {old.get(key, 'off or an axis')} stored, {new.get(key, 'off or an axis')} now" for key in keys]


def listed(leaves: Leaves) -> dict[str, Any]:
    """Return leaves as YAML keeps them: tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in leaves.items()}
