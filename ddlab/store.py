"""The results directory: every filename, atomic writes, and reading it back.

    sweep.yaml                             what the sweep is, its parts, figures
    provenance.json                        one entry for each run of the command
    plan.parquet                           one row per trial: id, pack, config, P, N
    trials/pack=00012.parquet              one row per trial of a finished pack: status, seconds
    curves/pack=00012/part-00003.parquet   one row per (trial, eval point), wide
    checkpoints/pack=00012/                the last checkpoint of an unfinished pack
    profile/pack=00012/                    a JAX profile, where profile=true asked for one

A file is written under a dot-name, fsynced, renamed, and its directory fsynced: a file that is there is whole. Each has one
writer, so there are no locks (`ddlab.claim` keeps two commands apart). This module reads and writes tables; it knows nothing
of JAX.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ddlab.config import SCHEMA_VERSION, load_leaves
from ddlab.errors import StoreError
from ddlab.files import DamagedPart, first_line, write_atomically

PENDING, COMPLETED, STOPPED, DIVERGED = "pending", "completed", "stopped", "diverged"


@dataclass(frozen=True)
class Results:
    """Stored metrics.

    Attributes:
        trials: one row per planned trial: trial_id, config leaves by dotted name, config-group choices ("data", "model",
            ...), num_params, num_train, num_outputs, params_per_sample, status (pending, completed, stopped, diverged),
            last_step, seconds.
        curves: one row per (trial, eval point): trial_id, step, train_loss, test_loss, train_error, test_error, measures.
            Errors are fractions in 0..1.
        sweep: the content of sweep.yaml.
    """

    trials: pd.DataFrame
    curves: pd.DataFrame
    sweep: Mapping[str, Any]


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
    def report_directory(self) -> Path:
        """Where figures, tables and the page go."""
        return self.root / "report"

    def trials_file(self, pack: int) -> Path:
        """Path of the outcome of a finished pack."""
        return self.root / "trials" / f"pack={pack:05d}.parquet"

    def part_file(self, pack: int, part: int) -> Path:
        """Path of a part of the curves of a pack."""
        return self.root / "curves" / f"pack={pack:05d}" / f"part-{part:05d}.parquet"

    def checkpoint_directory(self, pack: int) -> Path:
        """Directory of the checkpoints of a pack."""
        return self.root / "checkpoints" / f"pack={pack:05d}"

    def profile_directory(self, pack: int) -> Path:
        """Directory of the JAX profile of a pack."""
        return self.root / "profile" / f"pack={pack:05d}"

    # --- sweep and plan ---------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a sweep is stored here."""
        return self.sweep_file.exists()

    def read_sweep(self) -> dict[str, Any]:
        """Return the content of sweep.yaml.

        Raises:
            StoreError: none is there, it is damaged, or it was written by a newer ddlab.
        """
        try:
            sweep = yaml.safe_load(self.sweep_file.read_text())
            version = int(sweep["schema_version"])
        except OSError as error:
            raise StoreError(f"{self.root}: no stored sweep here ({error.strerror}: sweep.yaml)") from error
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.sweep_file}: damaged ({type(error).__name__})") from error
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.root}: written by a newer ddlab (store schema {version}, this one reads {SCHEMA_VERSION}); update ddlab"
            )
        missing = {"name", "figures", "parts"} - set(sweep)
        if missing:
            raise StoreError(f"{self.sweep_file}: damaged (no {', '.join(sorted(missing))})")
        return sweep

    def write_sweep(self, sweep: Mapping[str, Any]) -> None:
        """Write sweep.yaml."""
        content = {"schema_version": SCHEMA_VERSION, **sweep}
        write_atomically(self.sweep_file, yaml.safe_dump(content, sort_keys=False, width=120).encode())

    def read_provenance(self) -> list[dict[str, Any]]:
        """Return one entry for each run of the command; a damaged file is reported and put aside."""
        try:
            return json.loads(self.provenance_file.read_text())
        except FileNotFoundError:
            return []
        except ValueError:
            aside = self.provenance_file.with_suffix(".damaged")
            warnings.warn(f"{self.provenance_file}: damaged, kept as {aside.name}", DamagedPart, stacklevel=2)
            os.replace(self.provenance_file, aside)
            return []

    def add_provenance(self, run: Mapping[str, Any]) -> None:
        """Append one run of the command to provenance.json."""
        write_atomically(self.provenance_file, json.dumps([*self.read_provenance(), run], indent=1).encode())

    def read_plan(self, pack: int | None = None, columns: list[str] | None = None) -> pd.DataFrame:
        """Return the planned trials, of one pack or of all; empty where nothing is planned.

        Columns: trial_id, pack, config (canonical JSON), choices (JSON), num_params, num_train, num_outputs, flops,
            estimated_seconds (of the pack).
        """
        if not self.plan_file.exists():
            if self.exists():
                raise StoreError(f"{self.plan_file}: missing; without it the stored curves cannot be told apart")
            return pd.DataFrame(columns=["trial_id", "pack"])
        try:
            filters = None if pack is None else [("pack", "==", pack)]
            return pq.read_table(self.plan_file, filters=filters, columns=columns).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{self.plan_file}: damaged ({first_line(error)})") from error

    def write_plan(self, plan: pd.DataFrame) -> None:
        """Write plan.parquet."""
        write_table(self.plan_file, pa.Table.from_pandas(plan, preserve_index=False))

    def finished_packs(self) -> set[int]:
        """Return the packs whose outcome is stored and whose curves are whole; damaged files are reported."""
        paths = sorted((self.root / "trials").glob("pack=*.parquet"))
        finished = set()
        for path, metadata in _read_each(paths, pq.read_metadata):
            pack = _pack_number(path.stem)
            parts = [self.part_file(pack, part) for part in range(_about(metadata).get("num_parts", 0))]
            if len(_read_each(parts, pq.read_metadata)) == len(parts):
                finished.add(pack)
        return finished

    def read_abouts(self) -> dict[int, dict[str, Any]]:
        """Return what is stored about each finished pack: devices, versions, seconds spent; damaged files are reported."""
        paths = sorted((self.root / "trials").glob("pack=*.parquet"))
        return {_pack_number(path.stem): _about(metadata) for path, metadata in _read_each(paths, pq.read_metadata)}

    def begun_packs(self) -> set[int]:
        """Return the packs of which anything is stored: curves, a checkpoint or an outcome."""
        paths = [*(self.root / "curves").glob("pack=*/*"), *(self.root / "checkpoints").glob("pack=*/*")]
        return {_pack_number(path.parent.name) for path in paths} | self.finished_packs()

    # --- packs ------------------------------------------------------------------------------------------------------

    def write_part(self, pack: int, part: int, columns: Mapping[str, Any]) -> None:
        """Write one part of a pack's curves."""
        write_table(self.part_file(pack, part), _curve_table(columns))

    def clear_parts(self, pack: int) -> None:
        """Remove the curves of a pack that is trained from the start."""
        for path in self.part_file(pack, 0).parent.glob("part-*.parquet"):
            path.unlink()

    def read_parts(self, pack: int, num_parts: int) -> pd.DataFrame:
        """Return the first `num_parts` parts of a pack's curves, in order.

        Raises:
            StoreError: one of them is missing or damaged.
        """
        return pd.concat([self.read_part(pack, part) for part in range(num_parts)], ignore_index=True)

    def read_part(self, pack: int, part: int) -> pd.DataFrame:
        """Return one part of a pack's curves.

        Raises:
            StoreError: it is missing or damaged.
        """
        path = self.part_file(pack, part)
        try:
            return _read_table(path).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{path.parent}: damaged ({first_line(error)})") from error

    def write_outcome(self, pack: int, columns: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write the outcome of a finished pack: columns of one row per trial; `about` goes into the file's metadata."""
        table = pa.table(dict(columns)).replace_schema_metadata({"ddlab": json.dumps(dict(about))})
        write_table(self.trials_file(pack), table)

    # --- reading ----------------------------------------------------------------------------------------------------

    def load(self) -> Results:
        """Return everything that is stored; damaged files are reported by a `DamagedPart` warning and left out."""
        sweep = self.read_sweep()
        plan = self.read_plan()
        trials = pd.DataFrame([_trial_row(row) for row in plan.to_dict("records")])
        outcomes = [table for _, table in _read_each(sorted((self.root / "trials").glob("pack=*.parquet")), _read_table)]
        curves = [table for _, table in _read_each(sorted((self.root / "curves").glob("pack=*/part-*.parquet")), _read_table)]
        if outcomes:
            outcome = pa.concat_tables(outcomes, promote_options="permissive").to_pandas()
            trials = trials.merge(outcome, on="trial_id", how="left")
        else:
            trials = trials.assign(status=None, seconds=np.nan, last_step=np.nan)
        trials["status"] = trials["status"].fillna(PENDING)
        empty = pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype="int64")})
        joined = pa.concat_tables(curves, promote_options="permissive").to_pandas() if curves else empty
        joined = joined.drop_duplicates(["trial_id", "step"], keep="last", ignore_index=True)
        return Results(trials, joined, sweep)


def load(directory: str | Path) -> Results:
    """Load a results directory, such as ``ddlab.load("results/mnist1d_width")``."""
    return Store(directory).load()


def _trial_row(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: row[key] for key in ("num_params", "num_train", "num_outputs")}
    return {
        "trial_id": row["trial_id"],
        **json.loads(row["choices"]),
        **load_leaves(row["config"]),
        **known,
        "params_per_sample": known["num_params"] / known["num_train"],
    }


def _about(metadata: Any) -> dict[str, Any]:
    return json.loads((metadata.metadata or {}).get(b"ddlab", b"{}"))


def _pack_number(name: str) -> int:
    return int(name.removeprefix("pack="))


def _read_table(path: Path) -> pa.Table:
    return pq.read_table(path, partitioning=None)


def _read_each(paths: Iterable[Path], read: Callable[[Path], Any]) -> list[tuple[Path, Any]]:
    """Read files, reporting the damaged ones."""
    found = []
    for path in paths:
        try:
            found.append((path, read(path)))
        except (pa.ArrowException, OSError) as error:
            warnings.warn(f"{path}: damaged, left out ({first_line(error)})", DamagedPart, stacklevel=3)
    return found


def _curve_table(columns: Mapping[str, Any]) -> pa.Table:
    arrays = {}
    for name, column in columns.items():
        array = np.asarray(column)
        arrays[name] = pa.array(list(array)) if array.ndim > 1 else pa.array(column)
    return pa.table(arrays)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically: zstd, floating-point columns byte-stream split."""
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=_others(table, floats), use_byte_stream_split=floats)
    write_atomically(path, sink.getvalue())


def _others(table: pa.Table, floats: Sequence[str]) -> list[str]:
    return [name for name in table.column_names if name not in floats]
