"""Sealed tables: no changed bit is read as a number."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ddlab.store.sealed import Damaged, read_table, write_table
from tests.support import flipped


def test_six_hundred_flipped_bits_in_a_table_are_all_noticed(tmp_path):
    random_numbers = np.random.default_rng(0)
    path = tmp_path / "t.parquet"
    table = pa.table({"trial_id": ["a", "b"] * 300, "step": np.arange(600), "loss": random_numbers.normal(size=600).astype("f4")})
    write_table(path, table)
    content = path.read_bytes()
    assert read_table(path).equals(table)
    assert pq.read_table(path, page_checksum_verification=True).equals(table)  # other readers can read it, too
    for bit in random.Random(0).sample(range(8 * len(content)), 600):
        path.write_bytes(flipped(content, bit))
        with pytest.raises(Damaged):
            read_table(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 300, b"PAR1" + bytes(8) + b"PAR1", b"PAR1" + b"\xff" * 60 + b"PAR1"])
def test_a_file_that_is_no_sealed_table_is_damaged(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(Damaged, match="no checksum in it"):
        read_table(tmp_path / "t.parquet")
