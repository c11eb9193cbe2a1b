"""Parquet files and JSON objects that carry the sha256 of everything else in them: no changed bit is read as a number.

The checksum of a Parquet file stands between its last column and its footer, where readers do not look: any of them can read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ddlab.files import write_atomically

MARK = b"ddlab-sha256"
SEAL_BYTES = len(MARK) + hashlib.sha256().digest_size

SHA256 = "sha256"


class Damaged(Exception):
    """A file that is not as it was written."""


def write_table(path: Path, table: pa.Table, *, new: bool = False, row_group: int | None = None) -> None:
    """Write a sealed Parquet file atomically: zstd, floating-point columns byte-stream split.

    Args:
        path: of the file.
        table: its content.
        new: the file must not be there yet.
        row_group: rows that are stored together; a reader of some rows reads whole groups.

    Raises:
        FileExistsError: with `new`, where the file is there already.
    """
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    others = [name for name in table.column_names if name not in floats]
    sink = pa.BufferOutputStream()
    options = {"use_dictionary": others, "use_byte_stream_split": floats, "write_page_checksum": True}
    pq.write_table(table, sink, compression="zstd", row_group_size=row_group, **options)
    write_atomically(path, _sealed(sink.getvalue().to_pybytes()), new=new)


def read_table(path: Path, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """Read a sealed Parquet file, or some of its columns and rows.

    Raises:
        Damaged: it is not as it was written, or no such file.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    _check_seal(content)
    wanted = None if columns is None else list(columns)
    try:
        if filters is None:
            return pq.ParquetFile(pa.BufferReader(content)).read(wanted)
        return pq.read_table(pa.BufferReader(content), columns=wanted, filters=filters)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Damaged(str(error)) from error


def _footer(content: bytes) -> int:
    """Return where the footer of a Parquet file begins; negative where there is no room for one."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def _sealed(content: bytes) -> bytes:
    at = _footer(content)
    return content[:at] + MARK + hashlib.sha256(content).digest() + content[at:]


def _check_seal(content: bytes) -> None:
    at = _footer(content)
    start = at - SEAL_BYTES
    if len(content) < 12 or start < 4 or content[start : start + len(MARK)] != MARK:
        raise Damaged("no checksum in it")
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(memoryview(content)[at:])
    if content[start + len(MARK) : at] != digest.digest():
        raise Damaged("its checksum differs")


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum."""
    return {**content, SHA256: _digest(content)}


def unsealed(content: Any) -> dict[str, Any]:
    """Return a sealed JSON object without its checksum.

    Raises:
        Damaged: it is none, or not as it was sealed.
    """
    if not isinstance(content, dict) or SHA256 not in content:
        raise Damaged("no checksum in it")
    rest = {key: value for key, value in content.items() if key != SHA256}
    if content[SHA256] != _digest(rest):
        raise Damaged("its checksum differs")
    return rest


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
