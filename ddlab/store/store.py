"""The results directory: every filename, writing it, and reading it back.

    sweep.yaml                             what the sweep is, its parts, figures
    provenance.json                        one entry for each run of the command
    plan.parquet                           one row per trial: id, pack, config, P, N
    trials/pack=00012.parquet              one row per trial of a finished pack: status, rows, seconds
    curves/pack=00012/part-00003.parquet   one row per (trial, eval point), wide
    checkpoints/pack=00012/                the last checkpoint of an unfinished pack
    kept/pack=00012/step=00001500/         weights from which trials of other packs start; may be lost
    profile/pack=00012/                    a JAX profile, where profile=true asked for one
    .running, .pack=00012                  who writes now (`ddlab.store.lease`)

Each file is written atomically and carries a checksum; a file that is there is whole, and one that has changed since is
reported. Each has one writer. This module reads and writes tables; it knows nothing of JAX.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from ddlab.errors import StoreError
from ddlab.files import DamagedPart, first_line, remove_unfinished
from ddlab.store.provenance import read_provenance
from ddlab.store.sealed import Damaged, read_table, write_table
from ddlab.store.sweep_file import REMEDY, is_whole, read_sweep_file, write_sweep_file
from ddlab.store.tables import CURVES, PLAN, curve_table, read_outcome, row_counts, typed_table

# Rows of the plan that are read at once where those of one pack are wanted.
PLAN_ROWS = 2_000

Read = TypeVar("Read")


class Store:
    """One results directory."""

    def __init__(self, root: str | Path):
        self.root = Path(root)

    # --- filenames --------------------------------------------------------------------------------------------------

    @property
    def sweep_file(self) -> Path:
        """Path of sweep.yaml."""
        return self.root / "sweep.yaml"

    @property
    def provenance_file(self) -> Path:
        """Path of provenance.json."""
        return self.root / "provenance.json"

    @property
    def plan_file(self) -> Path:
        """Path of plan.parquet."""
        return self.root / "plan.parquet"

    @property
    def lease_file(self) -> Path:
        """Path of the lease of the command that runs the sweep."""
        return self.root / ".running"

    def pack_lease_file(self, pack: int) -> Path:
        """Path of the lease of the process that runs a pack."""
        return self.root / f".{_name(pack)}"

    @property
    def report_directory(self) -> Path:
        """Where figures, tables and the page go."""
        return self.root / "report"

    def trials_file(self, pack: int) -> Path:
        """Path of the outcome of a finished pack."""
        return self.root / "trials" / f"{_name(pack)}.parquet"

    def part_file(self, pack: int, part: int) -> Path:
        """Path of a part of the curves of a pack."""
        return self.root / "curves" / _name(pack) / f"part-{part:05d}.parquet"

    def checkpoint_directory(self, pack: int) -> Path:
        """Directory of the checkpoints of a pack."""
        return self.root / "checkpoints" / _name(pack)

    def kept_directory(self, pack: int, step: int) -> Path:
        """Directory of the weights that are kept of a pack at a step."""
        return self.root / "kept" / _name(pack) / f"step={step:08d}"

    def clear_kept(self, packs: Iterable[int]) -> None:
        """Remove the weights that are kept of some packs."""
        for pack in packs:
            shutil.rmtree(self.root / "kept" / _name(pack), ignore_errors=True)

    def profile_directory(self, pack: int) -> Path:
        """Directory of the JAX profile of a pack."""
        return self.root / "profile" / _name(pack)

    # --- sweep and plan ---------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a sweep is stored here."""
        return self.sweep_file.exists()

    def read_sweep(self) -> dict[str, Any]:
        """Return the content of sweep.yaml, as `read_sweep_file` does."""
        return read_sweep_file(self.sweep_file)

    def sweep_is_whole(self) -> bool:
        """Whether sweep.yaml is there as it was written."""
        return is_whole(self.sweep_file)

    def write_sweep(self, sweep: Mapping[str, Any]) -> None:
        """Write sweep.yaml."""
        write_sweep_file(self.sweep_file, sweep)

    def read_provenance(self) -> list[dict[str, Any]]:
        """Return one entry for each run of the command, as `ddlab.provenance` does."""
        return read_provenance(self.provenance_file)

    def read_plan(self, pack: int | None = None, columns: Sequence[str] = tuple(PLAN)) -> pd.DataFrame:
        """Return the planned trials, of one pack or of all; empty where nothing is planned.

        Columns: trial_id, weights_id, pack, config (canonical JSON), choices (JSON), num_params, num_train, num_outputs, flops,
            estimated_seconds, level and room (of the pack), parents (JSON: trial_id and step of each).

        Raises:
            PlanLost: it is missing or damaged.
        """
        if not self.plan_file.exists() and not self.exists():
            return pd.DataFrame(columns=list(columns))
        try:
            filters = None if pack is None else [("pack", "==", pack)]
            return typed_table(read_table(self.plan_file, columns, filters), {name: PLAN[name] for name in columns}).to_pandas()
        except FileNotFoundError as error:
            raise PlanLost(f"{self.plan_file}: missing; {REMEDY}") from error
        except Damaged as error:
            raise PlanLost(f"{self.plan_file}: damaged ({error}); {REMEDY}") from error

    def write_plan(self, plan: pd.DataFrame) -> None:
        """Write plan.parquet."""
        write_table(self.plan_file, pa.Table.from_pandas(plan, preserve_index=False), row_group=PLAN_ROWS)

    def begun_packs(self) -> set[int]:
        """Return the packs of which anything is stored, or at which a process is at work."""
        kept = [
            path for kind in ("curves", "checkpoints") for path in _listed(self.root / kind, "pack=*") if _listed(path, "[!.]*")
        ]
        named = [*kept, *_listed(self.root, ".pack=*"), *self._outcome_files()]
        return {number for path in named if (number := _number(path)) is not None}

    # --- packs ------------------------------------------------------------------------------------------------------

    def write_part(self, pack: int, part: int, columns: Mapping[str, Any]) -> None:
        """Write one part of a pack's curves.

        Raises:
            StoreError: that part is there already.
        """
        path = self.part_file(pack, part)
        try:
            write_table(path, curve_table(columns), new=True)
        except FileExistsError as error:
            raise StoreError(f"{path}: is there already: another process has written it") from error

    def clear_pack(self, pack: int, num_parts: int = 0) -> None:
        """Remove what is stored of a pack; with `num_parts`, all but its checkpoint and the first parts of its curves."""
        directory = self.part_file(pack, 0).parent
        for path in directory.glob("part-*.parquet"):
            if path.name >= self.part_file(pack, num_parts).name:
                path.unlink()
        self.trials_file(pack).unlink(missing_ok=True)
        if num_parts == 0 and self.checkpoint_directory(pack).exists():
            shutil.rmtree(self.checkpoint_directory(pack))
        remove_unfinished(directory, "part-*.parquet")
        remove_unfinished(self.trials_file(pack).parent, self.trials_file(pack).name)

    def read_part(self, pack: int, part: int) -> pd.DataFrame:
        """Return one part of a pack's curves.

        Raises:
            StoreError: it is missing or damaged.
        """
        path = self.part_file(pack, part)
        try:
            return typed_table(read_table(path), CURVES).to_pandas()
        except (Damaged, OSError) as error:
            raise StoreError(f"{path.parent}: damaged ({_why(error)})") from error

    def write_outcome(self, pack: int, columns: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write the outcome of a finished pack: columns of one row per trial; `about` goes into the file's metadata."""
        table = pa.table(dict(columns)).replace_schema_metadata({"ddlab": json.dumps(dict(about))})
        write_table(self.trials_file(pack), table)

    def is_finished(self, pack: int) -> bool:
        """Whether the outcome of a pack is stored and every row that it counts; damaged files are reported."""
        return bool(self._finished([self.trials_file(pack)]))

    def finished_packs(self) -> set[int]:
        """Return the packs that are finished, as `is_finished` says."""
        return self._finished(self._outcome_files())

    def stored_trials(self, pack: int) -> set[str]:
        """Return the trials of which a pack has an outcome or rows; damaged files are reported."""
        paths = [self.trials_file(pack), *self._part_files(pack)]
        found = _read_each([path for path in paths if path.exists()], row_counts)
        return {trial_id for _, counts in found for trial_id in counts}

    def read_abouts(self) -> dict[int, dict[str, Any]]:
        """Return what is stored about each finished pack: devices, versions, seconds spent; damaged files are reported."""
        return {pack: about for pack, _, about in self.outcomes()}

    def _finished(self, paths: Iterable[Path]) -> set[int]:
        finished = set()
        for pack, table, about in self._outcomes(path for path in paths if path.exists()):
            read = _read_each(self._part_files(pack)[: about["num_parts"]], row_counts)
            wanted = Counter(dict(zip(table["trial_id"].to_pylist(), table["num_rows"].to_pylist(), strict=True)))
            if sum((counts for _, counts in read), Counter()) == wanted:
                finished.add(pack)
            else:
                warnings.warn(f"{self.part_file(pack, 0).parent}: rows are missing", DamagedPart, stacklevel=3)
        return finished

    def outcomes(self) -> list[tuple[int, pa.Table, dict[str, Any]]]:
        """Return number, rows and what is known of the run of each finished pack; damaged files are reported."""
        return self._outcomes(self._outcome_files())

    def curves(self) -> tuple[list[pa.Table], bool]:
        """Return the parts of the curves of all packs, and whether these are all that there are; damaged files are reported."""
        files = [path for directory in _listed(self.root / "curves", "pack=*") for path in _listed(directory, "part-*.parquet")]
        tables = [table for _, table in _read_each(files, lambda path: typed_table(read_table(path), CURVES))]
        return tables, len(tables) == len(files)

    def _outcomes(self, paths: Iterable[Path]) -> list[tuple[int, pa.Table, dict[str, Any]]]:
        return [(number, *outcome) for path, outcome in _read_each(paths, read_outcome) if (number := _number(path)) is not None]

    def _outcome_files(self) -> list[Path]:
        return _listed(self.root / "trials", "pack=*.parquet")

    def _part_files(self, pack: int) -> list[Path]:
        return _listed(self.part_file(pack, 0).parent, "part-*.parquet")


class PlanLost(StoreError):
    """The table of planned trials is missing or damaged."""


def _name(pack: int) -> str:
    return f"pack={pack:05d}"


def _number(path: Path) -> int | None:
    """Return the number of the pack that a file or directory is named after; None where its name is no such name."""
    match = re.fullmatch(r"\.?pack=(\d{5,})(\.parquet)?", path.name)
    return int(match[1]) if match else None


def _listed(directory: Path, pattern: str) -> list[Path]:
    """Return what a directory holds of such names, sorted; a directory that cannot be read is an `OSError`."""
    return sorted(path for path in directory.iterdir() if fnmatch(path.name, pattern)) if directory.is_dir() else []


def _read_each(paths: Iterable[Path], read: Callable[[Path], Read]) -> list[tuple[Path, Read]]:
    """Read files, reporting the damaged ones."""
    found = []
    for path in paths:
        try:
            found.append((path, read(path)))
        except (Damaged, OSError) as error:
            warnings.warn(f"{path}: damaged, left out ({_why(error)})", DamagedPart, stacklevel=3)
    return found


def _why(error: BaseException) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
