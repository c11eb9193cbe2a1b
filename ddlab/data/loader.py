"""Loading the data sets of a pack: equal configs share one object, and configs of equal inputs those arrays."""

from __future__ import annotations

from collections.abc import Sequence

from ddlab.config.trial import Leaves, build, declarations
from ddlab.data.base import Dataset, load


class Loader:
    """Loads data sets; equal configs share one object, also with the call before, and configs of equal inputs those arrays."""

    def __init__(self) -> None:
        self._loaded: dict[str, Dataset] = {}

    def load(self, trials: Sequence[Leaves]) -> list[Dataset]:
        """Return each trial's data set; those of earlier calls are forgotten, but for those wanted again."""
        configs = [data_config(leaves) for leaves in trials]
        known, self._loaded = self._loaded, {}
        inputs: dict[str, Dataset] = {}
        for config, leaves in zip(configs, trials, strict=True):
            if config not in self._loaded:
                of_inputs = _inputs_config(leaves)
                beside = inputs.get(of_inputs)
                dataset = known[config] if config in known else load(build(leaves, "data"), beside)
                self._loaded[config] = dataset if beside is None else dataset.with_inputs_of(beside)
                inputs.setdefault(of_inputs, dataset)
        return [self._loaded[config] for config in configs]


def data_config(leaves: Leaves) -> str:
    """Return the config of a trial's data as text; it also sorts data sets."""
    return repr(sorted((key, value) for key, value in leaves.items() if key.startswith("data.")))


def _inputs_config(leaves: Leaves) -> str:
    """Return the config of the inputs of a trial's data as text."""
    declared = declarations(leaves)
    return data_config({key: value for key, value in leaves.items() if not declared[key].targets})
