"""Where the trials of a pack lie: split over the local devices, and on each device in tiles.

A *tile* is the trials that one device trains at once, few enough that a step's arrays stay in its cache. How many tiles
run is an argument of the compiled program: when trials have ended, the live ones are moved into the first tiles and the
others are left out, with no compilation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# Most and fewest examples that go through a network at once; longer batches are taken in pieces.
MOST_EXAMPLES, LEAST_EXAMPLES = 1024, 128

SPLIT, WHOLE = PartitionSpec("trials"), PartitionSpec()


class Tiles(NamedTuple):
    """How much of a pack a device trains at once.

    Attributes:
        trials: of a tile.
        examples: that go through a network together.
    """

    trials: int
    examples: int

    def smaller(self) -> tuple[Tiles, str] | None:
        """Return half of it and what is said of that; None where nothing is left to halve."""
        trials, examples = self.trials // 2, self.examples // 2
        if trials:
            return self._replace(trials=trials), f"tiles of {trials} trial{'s' if trials > 1 else ''} (were {self.trials})"
        if examples >= LEAST_EXAMPLES:
            return self._replace(examples=examples), f"{examples} examples at once (were {self.examples})"
        return None


@dataclass(frozen=True)
class Layout:
    """Where the trials of a pack lie: D devices, each with so many tiles of so many slots.

    Attributes:
        devices: those that the pack uses.
        tile: slots of a tile.
        num_tiles: of each device.
        trials: the trials that are trained, by their index in the pack, cheap ones first; others have ended.
        num_trials: of the pack.
    """

    devices: tuple[jax.Device, ...]
    tile: int
    num_tiles: int
    trials: tuple[int, ...]
    num_trials: int

    @staticmethod
    def of(num_trials: int, tile: int, room: int = 0) -> Layout:
        """Return a layout over all local devices with tiles of about `tile` trials.

        Of the sizes from three to five quarters of `tile`, the one that leaves the fewest slots spare.

        Args:
            num_trials: of the pack.
            tile: slots of a tile, about.
            room: trials that there is room for, if more: packs with the same room have the same program.
        """
        room = max(room, num_trials)
        devices = tuple(jax.local_devices()[:room])
        of_device = math.ceil(room / len(devices))
        wanted = min(tile, of_device)
        sizes = range(math.ceil(0.75 * wanted), min(wanted + wanted // 4, of_device) + 1)
        counts = {size: math.ceil(of_device / size) for size in sizes}
        size = min(counts, key=lambda size: (size * counts[size], counts[size]))
        return Layout(devices, size, counts[size], tuple(range(num_trials)), num_trials)

    def with_trials(self, alive: np.ndarray) -> Layout:
        """Return the layout that trains the live trials only; alive: [T] bool."""
        return replace(self, trials=tuple(int(trial) for trial in np.flatnonzero(alive)))

    @cached_property
    def busy(self) -> np.ndarray:
        """Tiles that run on each device, [D] int32."""
        return np.array([math.ceil(len(trials) / self.tile) for trials in self._of_device], np.int32)

    @cached_property
    def slots(self) -> np.ndarray:
        """The trial in each slot, [devices * num_tiles * tile], device after device, tile after tile.

        A device's live trials fill its first slots; the rest repeats them, or where it has none, trial 0.
        """
        room = self.tile * self.num_tiles
        return np.concatenate([np.resize(trials, room) if len(trials) else np.zeros(room, int) for trials in self._of_device])

    @cached_property
    def places(self) -> np.ndarray:
        """The slot of each trial, [T]; any slot for those that have ended."""
        places = np.zeros(self.num_trials, int)
        places[self.slots[::-1]] = np.arange(len(self.slots))[::-1]
        return places

    @property
    def _of_device(self) -> list[np.ndarray]:
        """The trials of each device, dealt in turn: neighbours cost about the same."""
        trials = np.array(self.trials, int)
        return [trials[first :: len(self.devices)] for first in range(len(self.devices))]

    @cached_property
    def mesh(self) -> jax.sharding.Mesh:
        """The devices, along the axis "trials"."""
        return jax.make_mesh((len(self.devices),), ("trials",), axis_types=(AxisType.Auto,), devices=self.devices)

    def put(self, tree: Any) -> Any:
        """Return a host `State` or `Inputs` on the devices: the first field whole on each, the second slot by slot."""
        whole, split = tree
        split = jax.tree.map(lambda array: np.asarray(array)[self.slots], split)
        placed = jax.device_put(split, NamedSharding(self.mesh, SPLIT))
        return type(tree)(jax.device_put(whole, NamedSharding(self.mesh, WHOLE)), placed)

    def describe(self, tree: Any) -> Any:
        """Return the shapes and places of what `put` would give, without arrays; takes arrays or shapes."""
        whole, split = tree
        slots, on_all, on_each = len(self.slots), NamedSharding(self.mesh, WHOLE), NamedSharding(self.mesh, SPLIT)
        whole = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=on_all), whole)
        split = jax.tree.map(lambda x: jax.ShapeDtypeStruct((slots, *x.shape[1:]), x.dtype, sharding=on_each), split)
        return type(tree)(whole, split)

    @staticmethod
    def split(kind: Any) -> Any:
        """Return how `put` splits a `State` or `Inputs` over the devices."""
        return kind(WHOLE, SPLIT)

    def put_busy(self) -> jax.Array:
        """Return `busy` on the devices, one number on each."""
        return jax.device_put(self.busy, NamedSharding(self.mesh, SPLIT))

    def take(self, tree: Any) -> Any:
        """Return arrays with a slot axis on the host, one row for each trial; waits for the devices."""
        return jax.tree.map(lambda array: np.asarray(array)[self.places], tree)
