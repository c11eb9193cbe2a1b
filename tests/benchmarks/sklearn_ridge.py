"""The peer of the exact solver: random features in NumPy; at each point scikit-learn's Ridge, without penalty NumPy's lstsq.

    python sklearn_ridge.py PROBLEM.json

The problem says how many threads the linear algebra may use. Prints seconds, the time spent in the solvers alone, and the mean
risk at each (features, penalty).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits


def sphere(random: np.random.Generator, num: int, d: int) -> np.ndarray:
    """Draw points on the sphere of radius sqrt(d)."""
    draws = random.standard_normal((num, d))
    return draws * (d**0.5 / np.linalg.norm(draws, axis=1, keepdims=True))


def run(problem: dict) -> dict:
    """Solve every point; features are computed once for each number of them ("shared") or at each point."""
    d, n, num_test = problem["d"], problem["n"], problem["num_test"]
    risks: dict[tuple[int, float], list[float]] = {}
    start, solving = time.monotonic(), 0.0
    for seed in range(problem["seeds"]):
        random = np.random.default_rng(seed)
        x, test_x = sphere(random, n, d), sphere(random, num_test, d)
        beta = random.standard_normal(d)
        beta *= problem["signal"] ** 0.5 / np.linalg.norm(beta)
        y = x @ beta + problem["noise_variance"] ** 0.5 * random.standard_normal(n)
        target = test_x @ beta
        weights = sphere(random, max(problem["widths"]), d).T / d**0.5
        for width in problem["widths"]:
            z = test_z = None
            for penalty in problem["penalties"]:
                if z is None or not problem["shared"]:
                    z, test_z = (np.maximum(inputs @ weights[:, :width], 0) / width**0.5 for inputs in (x, test_x))
                begun = time.monotonic()
                a = Ridge(alpha=n * penalty, fit_intercept=False).fit(z, y).coef_ if penalty else np.linalg.lstsq(z, y)[0]
                solving += time.monotonic() - begun
                risk = float(np.mean((test_z @ a - target) ** 2))
                np.mean((z @ a - y) ** 2)
                risks.setdefault((width, penalty), []).append(risk)
    seconds = time.monotonic() - start
    means = {f"{width} {penalty}": float(np.mean(found)) for (width, penalty), found in risks.items()}
    return {"seconds": seconds, "solver_seconds": solving, "risks": means}


if __name__ == "__main__":
    chosen = json.loads(Path(sys.argv[1]).read_text())
    with threadpool_limits(chosen["threads"]):
        print(json.dumps(run(chosen)))
