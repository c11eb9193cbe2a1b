"""Measures what the machine can do at most, all devices at work, by XLA; prints it as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ddlab.devices.local import use_cpu_cores


def limits() -> dict[str, float]:
    """Return the rates of products of 512 x 512 matrices, and the bandwidth of a triad over 256 MiB a device."""
    use_cpu_cores(None)
    devices = jax.local_device_count()
    mesh = jax.make_mesh((devices,), ("d",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("d"))

    def best(function: Callable[..., Any], array: Any, other: Any) -> float:
        compiled, seconds = jax.jit(function, out_shardings=split, donate_argnums=0), []
        for _ in range(8):
            start = time.monotonic()
            array = jax.block_until_ready(compiled(array, other))
            seconds.append(time.monotonic() - start)
        return min(seconds[1:])

    def ones(*shape: int, dtype: Any = np.float32) -> Any:
        return jax.device_put(np.full(shape, 1e-3, dtype), split)

    def multiply(dtype: Any) -> float:
        size = (8 * devices, 512, 512)
        seconds = best(lambda a, b: jnp.einsum("tij,tjk->tik", a, b), ones(*size, dtype=dtype), ones(*size, dtype=dtype))
        return 8 * devices * 2 * 512**3 / seconds / 1e9

    product = multiply(np.float32)
    with jax.enable_x64(True):
        product64 = multiply(np.float64)
    triad = best(lambda a, b: a + 2 * b, ones(devices, 2**26), ones(devices, 2**26))
    return {
        "matmul_gflops": product,
        "matmul64_gflops": product64,
        "memory_gb_per_second": 3 * devices * 2**28 / triad / 1e9,
    }


if __name__ == "__main__":
    print(json.dumps(limits()))
