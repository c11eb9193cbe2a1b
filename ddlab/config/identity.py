"""What names a trial: two hashes of its config, the same wherever and however the trial runs.

`weights_id` says what the weights at a step depend on: data, model, optimizer, loss, batches and seeds. `trial_id` says that, and
what is recorded of the trial, when, and when it ends. Neither depends on where something lies (mark PLACE), nor on a knob that is
`off`: a knob that is added later renames nothing that is stored. Components go by their public names: files may move.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ddlab.config.declare import Leaf, Mark
from ddlab.config.trial import Leaves, declarations

SCHEMA_VERSION = 3


class Identity(NamedTuple):
    """The two names of a trial, 16 hex digits each."""

    weights_id: str
    trial_id: str


class Piece(NamedTuple):
    """One leaf as it stands in the canonical JSON of a config.

    Attributes:
        text: its key and its value.
        off: it does nothing at this value.
    """

    text: str
    off: bool


class Naming:
    """The canonical JSON and the identity of trials that share all leaves but some; what they share is encoded once."""

    def __init__(self, leaves: Leaves, own: Iterable[str] = ()):
        """
        Args:
            leaves: of one of the trials.
            own: the leaves in which the others differ from it.
        """
        self._declared = declarations(leaves)
        self._pieces = {key: self.piece(key, leaves[key]) for key in sorted(leaves)}
        self._own = [key for key in own if key in leaves]
        acting = [key for key in self._pieces if self._declared[key].mark is not Mark.PLACE]
        self._recorded = [key for key in acting if _records(key, self._declared[key])]
        self._weights = [key for key in acting if not _records(key, self._declared[key])]

    def piece(self, key: str, value: Any) -> Piece:
        """Return one leaf as it stands in the JSON."""
        return Piece(_dump({key: value})[1:-1], self._declared[key].is_off(value))

    def config(self, own: Mapping[str, Piece]) -> str:
        """Return all leaves of a trial as canonical JSON."""
        return "{" + ",".join(piece.text for piece in self._with(own).values()) + "}"

    def text(self, keys: Iterable[str], own: Mapping[str, Piece]) -> str:
        """Return some leaves of a trial as text, equal for trials that agree in them."""
        pieces = self._with(own)
        return ",".join(pieces[key].text for key in keys)

    def identity(self, own: Mapping[str, Piece]) -> Identity:
        """Return the names of a trial."""
        pieces = self._with(own)
        weights_id = _hash(f'"schema":{SCHEMA_VERSION}', (pieces[key] for key in self._weights))
        return Identity(weights_id, _hash(f'"weights":"{weights_id}"', (pieces[key] for key in self._recorded)))

    def _with(self, own: Mapping[str, Piece]) -> dict[str, Piece]:
        return {**self._pieces, **{key: own[key] for key in self._own if key in own}}


def identify(leaves: Leaves) -> Identity:
    """Return the names of a trial."""
    return Naming(leaves).identity({})


def _records(key: str, declared: Leaf) -> bool:
    return declared.records or key.startswith("measures.")


def _hash(head: str, pieces: Iterable[Piece]) -> str:
    text = ",".join([head, *(piece.text for piece in pieces if not piece.off)])
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]


def _dump(leaves: Mapping[str, Any]) -> str:
    return json.dumps(leaves, sort_keys=True, separators=(",", ":"))
