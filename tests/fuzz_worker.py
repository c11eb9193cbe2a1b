"""Runs command lines that come on standard input, one JSON list a line, and answers each with what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
import traceback

from ddlab.cli import main


def run(words: list[str]) -> dict:
    """Run the command in this process; return its exit status, what it said, seconds and peak memory so far in bytes."""
    out, err = io.StringIO(), io.StringIO()
    started = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: int | str = main(words)
        except BaseException:  # a traceback is what is looked for
            status = traceback.format_exc()
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"status": status, "out": out.getvalue(), "err": err.getvalue(), "seconds": time.monotonic() - started, "peak": peak}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
