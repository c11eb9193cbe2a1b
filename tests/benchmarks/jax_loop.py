"""Peer J: the usual JAX loop, one jitted step, one network after the other; a new width compiles anew."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from problem import Report, features, read


def make_params(settings, key, num_inputs, width):
    shapes = [(num_inputs, width), (width, settings["num_outputs"])]
    keys = jax.random.split(key, 2)
    if settings["model"] == "quadratic":
        std = 0.5 / (2 * width) ** (1 / 3)
        return [{"w": std * jax.random.normal(k, shape)} for k, shape in zip(keys, shapes, strict=True)]
    bounds = [shape[0] ** -0.5 for shape in shapes]
    return [
        {"w": jax.random.uniform(k, shape, minval=-bound, maxval=bound), "b": jnp.zeros(shape[1])}
        for k, shape, bound in zip(keys, shapes, bounds, strict=True)
    ]


def forward(settings, params, x):
    first, second = params
    if settings["model"] == "quadratic":
        return (x @ first["w"]) ** 2 @ second["w"]
    return jax.nn.relu(x @ first["w"] + first["b"]) @ second["w"] + second["b"]


def loss_of(settings, params, x, y):
    z = forward(settings, params, x)
    if settings["model"] == "quadratic":
        return jnp.mean((z - jax.nn.one_hot(y, settings["num_outputs"])) ** 2)
    return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()


def main():
    settings, arrays = read()
    train, test = (
        (jnp.asarray(features(settings, arrays[f"{split}_inputs"])), jnp.asarray(arrays[f"{split}_targets"]))
        for split in ("train", "test")
    )
    rule = optax.adam(settings["learning_rate"], settings["b1"], settings["b2"])
    if settings["weight_decay"]:
        rule = optax.adamw(settings["learning_rate"], settings["b1"], settings["b2"], weight_decay=settings["weight_decay"])

    def update(params, state, x, y):
        updates, state = rule.update(jax.grad(lambda p: loss_of(settings, p, x, y))(params), state, params)
        return optax.apply_updates(params, updates), state

    @jax.jit
    def step_on_rows(params, state, rows):
        return update(params, state, train[0][rows], train[1][rows])

    @jax.jit
    def step_on_all(params, state):
        return update(params, state, *train)

    @jax.jit
    def evaluate(params):
        metrics = {"weight_norm": optax.tree.norm(params)}
        for split, (x, y) in (("train", train), ("test", test)):
            metrics[f"{split}_loss"] = loss_of(settings, params, x, y)
            metrics[f"{split}_error"] = (forward(settings, params, x).argmax(1) != y).mean()
        if settings["gradient_norm"]:
            metrics["gradient_norm"] = optax.tree.norm(jax.grad(lambda p: loss_of(settings, p, *train))(params))
        return metrics

    eval_steps, num_train, batch_size = set(settings["eval_steps"]), len(train[1]), settings["batch_size"]
    for width in settings["widths"]:  # what JAX compiles for the initial numbers is no part of the loop's seconds
        rule.init(make_params(settings, jax.random.key(0), train[0].shape[1], width))
    report = Report()
    for width in settings["widths"]:
        for seed in settings["seeds"]:
            random = np.random.default_rng(seed)
            params = make_params(settings, jax.random.key(seed), train[0].shape[1], width)
            state = rule.init(params)
            for step in range(settings["steps"] + 1):
                start = time.monotonic()
                if step in eval_steps:
                    report.last = {name: float(value) for name, value in evaluate(params).items()}
                if step == settings["steps"]:
                    break
                if batch_size is None:
                    params, state = step_on_all(params, state)
                else:
                    position = step % (num_train // batch_size)
                    if position == 0:
                        order = random.permutation(num_train)
                    params, state = step_on_rows(params, state, order[position * batch_size : (position + 1) * batch_size])
                if step == 0 and seed == settings["seeds"][0]:
                    report.exclude(time.monotonic() - start)
                report.trial_steps += 1
            jax.block_until_ready(params)
    report.print()


if __name__ == "__main__":
    main()
