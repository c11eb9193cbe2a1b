"""Generated sweep files and .npz files."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.resume.fuzz import TINY, VALUES, check


def mutants(text: str, number: int, seed: int) -> Iterator[str]:
    """Yield a text with a few lines dropped, doubled, swapped, or with something else in them."""
    moments = random.Random(seed)
    for _ in range(number):
        lines = text.splitlines()
        for _ in range(moments.randint(1, 3)):
            at = moments.randrange(len(lines))
            line = lines[at]
            cut = moments.randrange(len(line) + 1)
            lines[at] = moments.choice(
                [
                    "",
                    line + "\n" + line,
                    line[:cut],
                    line[:cut] + moments.choice("{}[]:,'\"&*!|>%@`#\t\0é-?") + line[cut:],
                    line.partition(":")[0] + ": " + moments.choice(VALUES)[:200],
                    " " + line,
                    "x: &a [*a]",
                    "x: &a {b: *a}",
                    "- " + line,
                ]
            )
        yield "\n".join(lines)


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9))
HEADS = [
    *(
        "",
        "[]",
        "5",
        "null",
        "defaults: 5",
        "defaults: [m]",
        "defaults: [ddlab, m, _self_]",
        "defaults: [nope]",
        "defaults: {a: b}",
    ),
    *("defaults: [ddlab, {override data: nope}]", "defaults: [ddlab, {nope: x}]", "[" * 2000, "{" * 500, BOMB, "x: &a [*a]"),
    *(f"defaults: [ddlab]\n{BOMB}", "defaults: [ddlab]\nx: " + "9" * 5000, "defaults: [ddlab]\nx: !!python/object:os.system ls"),
    *(
        "defaults: [ddlab]\nhydra: {launcher: {_target_: x}}",
        "defaults: [ddlab]\nhydra: {sweeper: {_target_: x}}",
        "\ufeff" + TINY,
    ),
    *("defaults: [ddlab]\naxes: {data: []}", "defaults: [ddlab]\naxes: {seed: range(1000000000)}", "defaults: [ddlab]\naxes: 3"),
    *("defaults: [ddlab]\naxes: {seed: [1, a]}", "defaults: [ddlab]\nclaims: 3", "defaults: [ddlab]\nfigures: {x: 3}", "a: b: c"),
]


@pytest.mark.slow
def test_sweep_files(worker, place):
    cases = []
    for number, text in enumerate([*HEADS, *mutants(TINY, 120, 2)]):
        path = place / f"m{number}.yaml"
        path.write_text(
            text.replace("m,", f"m{number},").replace("[m]", f"[m{number}]"), encoding="utf-8", errors="surrogatepass"
        )
        cases.append(["plan", path.name])
    check(worker, place, "sweep files", cases)


def archives() -> dict[str, Any]:
    """Return arrays of .npz files, none of which is a data set of the usual kind, by what is odd about them."""
    x, y = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 3
    odd: dict[str, Any] = {f"inputs {kind}": {"inputs": x.astype(kind), "targets": y} for kind in ("U3", "S3", "c16", "O", "?")}
    odd |= {f"targets {kind}": {"inputs": x, "targets": y.astype(kind)} for kind in ("U3", "f8", "c16", "O", "?", "M8[D]", "i1")}
    odd |= {
        f"inputs of shape {shape}": {"inputs": np.zeros(shape), "targets": y} for shape in ((), (50,), (50, 0), (0, 4), (49, 4))
    }
    odd |= {f"targets of shape {shape}": {"inputs": x, "targets": np.zeros(shape, int)} for shape in ((), (50, 1), (0,), (51,))}
    odd |= {f"inputs with {value}": {"inputs": np.where(x > 2, value, x), "targets": y} for value in (np.nan, np.inf)}
    odd |= {"labels below 0": {"inputs": x, "targets": y - 1}, "large labels": {"inputs": x, "targets": y + 10**6}}
    odd |= {
        "no inputs": {"targets": y},
        "no targets": {"inputs": x},
        "nothing": {},
        "test inputs": {"inputs": x, "targets": y, "test_inputs": x},
    }
    odd |= {"dates": {"inputs": x.astype("M8[s]"), "targets": y}, "records": {"inputs": np.zeros(50, "i4,f8"), "targets": y}}
    return odd


def raw_archives() -> dict[str, bytes]:
    """Return contents of files that are no archives of arrays."""
    whole = io.BytesIO()
    np.savez(whole, inputs=np.zeros((50, 4)), targets=np.arange(50) % 3)
    content = whole.getvalue()

    def with_header(header: str) -> bytes:
        made, text = io.BytesIO(), (header + " " * (118 - len(header) % 64) + "\n").encode()
        with zipfile.ZipFile(made, "w") as file:
            file.writestr("inputs.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
        return made.getvalue()

    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w", zipfile.ZIP_DEFLATED) as file, file.open("inputs.npy", "w", force_zip64=True) as member:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (20_000_000, 4)})
        member.write(header.getvalue())
        for _ in range(64):
            member.write(bytes(10_000_000))
    return {
        "empty": b"",
        "text": b"hello",
        "cut": content[: len(content) // 2],
        "zeros": bytes(1000),
        "a single array": content[:200],
        "a header of 10^12 numbers": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
        "a header that is code": with_header("__import__('os').system('true')"),
        "0.6 GB of zeros in a small file": huge.getvalue(),
        **{
            f"flipped {bit}": content[:bit] + bytes([content[bit] ^ 16]) + content[bit + 1 :]
            for bit in range(30, len(content), 97)
        },
    }


@pytest.mark.slow
def test_npz_files(worker, place):
    paths = ["/dev/zero", "/dev/null", "results", "nope.npz", "", "a\0b", "${nope}"]
    for number, arrays in enumerate(archives().values()):
        np.savez(place / f"a{number}.npz", allow_pickle=True, **arrays)
        paths.append(f"a{number}.npz")
    for number, content in enumerate(raw_archives().values()):
        (place / f"r{number}.npz").write_bytes(content)
        paths.append(f"r{number}.npz")
    check(worker, place, "npz", [["plan", "tiny.yaml", "data=npz", f"data.path='{path}'", "data.num_train=20"] for path in paths])
