"""The transformer against one that is written out plainly in NumPy, at every position and head by head."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.errors import ConfigError
from ddlab.run.settle import settle
from tests.support import FLOAT64, leaves_of, make_pack, named_leaves, packed_equals_alone, weights_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

P = 7
SHARED = (
    "data=modular",
    f"data.modulus={P}",
    "data.sequence='a o b ='",
    "model=transformer",
    "train.batch_size=null",
    "measures=none",
    FLOAT64,
)
SMALL = ("model.width=12", "model.heads=3", "model.head_size=4", "model.hidden=20")

CASES = {
    "nanda": (),
    "attention only": ("model.hidden=null",),
    "power": ("model.norm=post", "model.depth=2", "model.positions=sinusoidal", "model.bias=none", "model.initializer=torch"),
    "pre-norm": ("model.norm=pre", "model.depth=2", "model.bias=all", "model.initializer=torch", "model.activation=gelu"),
    "llama": (
        "model.norm=pre",
        "model.norm_kind=rms",
        "model.positions=rotary",
        "model.activation=swiglu",
        "model.depth=3",
        "model.initializer=standard",
    ),
    "pizza": ("model.attention=0.3", "model.depth=2", "model.tied=true", "model.positions=none", "model.init_scale=1.5"),
}


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "gelu": gelu, "swiglu": lambda z: z / (1 + np.exp(-z))}


def normalised(x, weights, name, kind, layer):
    gain = weights[f"{name}.gain"]
    if kind == "layer":
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    if layer is not None:
        gain = gain[layer]
    shift = 0.0 if kind == "rms" else weights[f"{name}.shift"] if layer is None else weights[f"{name}.shift"][layer]
    return gain * x + shift


def turned(x, size):
    """Rotary positions: x [L, size] as complex pairs."""
    z = x[:, 0::2] + 1j * x[:, 1::2]
    angles = np.arange(len(x))[:, None] * 10_000.0 ** (-np.arange(0, size, 2) / size)
    z = z * np.exp(1j * angles)
    return np.stack([z.real, z.imag], axis=-1).reshape(x.shape)


def plain(leaves, weights, tokens):
    """Return the outputs for one input, tokens [L]."""
    get = {key.removeprefix("model."): value for key, value in leaves.items() if key.startswith("model.")}
    weights = {name.removeprefix("blocks."): array for name, array in weights.items()}
    width, size, length = get["width"], get["head_size"], len(tokens)

    def w(name, layer):
        return weights[f"{name}.weight"][layer]

    def b(name, layer):
        return weights[f"{name}.bias"][layer] if f"{name}.bias" in weights else 0.0

    x = weights["embedding"][tokens]
    if get["positions"] == "learned":
        x = x + weights["positions"]
    if get["positions"] == "sinusoidal":
        for t in range(length):
            for i in range(width):
                angle = t / 10_000.0 ** (2 * (i // 2) / width)
                x[t, i] += np.sin(angle) if i % 2 == 0 else np.cos(angle)
    for layer in range(get["depth"]):
        read = normalised(x, weights, "norms.attention", get["norm_kind"], layer) if get["norm"] == "pre" else x
        q, k, v = (np.einsum("ld,dhe->hle", read, w(name, layer)) for name in ("query", "key", "value"))
        if get["bias"] == "all":
            q, k, v = (z + b(name, layer)[:, None] for z, name in ((q, "query"), (k, "key"), (v, "value")))
        mixed = np.zeros((length, get["heads"], size))
        for head in range(get["heads"]):
            qh, kh = (turned(z[head], size) if get["positions"] == "rotary" else z[head] for z in (q, k))
            for t in range(length):
                scores = kh[: t + 1] @ qh[t] / np.sqrt(size)
                chosen = np.exp(scores) / np.exp(scores).sum()
                share = get["attention"] * chosen + (1 - get["attention"]) / (t + 1)
                mixed[t, head] = share @ v[head, : t + 1]
        x = x + np.einsum("lhe,hed->ld", mixed, w("attended", layer)) + b("attended", layer)
        if get["norm"] == "post":
            x = normalised(x, weights, "norms.attention", get["norm_kind"], layer)
        if get["hidden"] is not None:
            read = normalised(x, weights, "norms.mlp", get["norm_kind"], layer) if get["norm"] == "pre" else x
            hidden, act = read @ w("hidden", layer) + b("hidden", layer), ACTIVATIONS[get["activation"]]
            neurons = act(read @ w("gate", layer) + b("gate", layer)) * hidden if get["activation"] == "swiglu" else act(hidden)
            x = x + neurons @ w("read", layer) + b("read", layer)
            if get["norm"] == "post":
                x = normalised(x, weights, "norms.mlp", get["norm_kind"], layer)
    if get["norm"] == "pre":
        x = normalised(x, weights, "last_norm", get["norm_kind"], None)
    unembedding = weights["embedding"][:P].T if get["tied"] else weights["unembedding"]
    return x[-1] @ unembedding + weights.get("unembedding_bias", 0.0)


@pytest.mark.parametrize("case", CASES)
def test_the_forward_pass_against_numpy(case):
    leaves = leaves_of(*SHARED, *SMALL, *CASES[case])
    program, inputs, state, weights = weights_of(leaves)
    tokens, targets = inputs.shared["train_inputs"][0], inputs.shared["train_targets"][0]
    logits = np.stack([plain(leaves, weights, row) for row in tokens])
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(targets)), targets]
    measured = jax.jit(program.evaluate)(state, inputs)["train_loss"][0]
    np.testing.assert_allclose(measured, losses.mean(), rtol=1e-12)
    assert losses.std() > 1e-3


def test_the_number_of_parameters_is_that_of_nandas_network():
    """Nanda et al. 2023: p = 113, with the embedding of "=" and without its column of the unembedding."""
    _, size, *_ = settle(leaves_of(*SHARED[:1], "data.sequence='a b ='", "data.modulus=113", "model=transformer", *SHARED[4:]))
    assert size.num_params == 114 * 128 + 3 * 128 + 4 * 128 * 128 + 2 * 512 * 128 + 512 + 128 + 128 * 113


@pytest.mark.slow
@pytest.mark.parametrize("case", ["nanda", "pre-norm", "power", "llama"])
def test_widths_heads_and_depths_of_one_pack_are_each_what_they_are_alone(case):
    """Each trial is smaller than the other in something."""
    run = ("train.steps=60", "train.num_evals=3", "optimizer=adamw", "optimizer.learning_rate=0.003", "optimizer.weight_decay=1")
    chosen = [word for word in CASES[case] if not word.startswith("model.depth")]
    trials = []
    for seed, sizes in enumerate(((8, 3, 6, 12, 1), (12, 2, 4, 20, 2))):
        names = ("width", "heads", "head_size", "hidden", "depth")
        words = [f"model.{name}={size}" for name, size in zip(names, sizes, strict=True)]
        trials.append(leaves_of(*SHARED, *run, *chosen, *words, f"seed={seed}"))
    packed_equals_alone(trials, 1e-9)


def test_inputs_that_are_no_tokens_odd_heads_and_outputs_that_are_no_tokens_are_refused():
    with pytest.raises(ConfigError, match="a sequence of tokens"):
        make_pack([leaves_of("model=transformer")])
    with pytest.raises(ConfigError, match=r"model\.head_size=3: must be even"):
        settle(leaves_of(*SHARED, "model.head_size=3", "model.positions=rotary"))
    with pytest.raises(ConfigError, match=r"model\.tied=true: 9 outputs need as many tokens, not 7"):
        settle(leaves_of(*SHARED, "model.tied=true", "data.operation=add_integers", "data.modulus=5"))


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize("norm", ["none", "pre", "post"])
def test_loss_and_gradient_against_pytorch(norm, dtype, rtol):
    """Every position, PyTorch's own attention and layer norm; the gradient is that of a step of gradient descent."""
    import torch
    from torch.nn import functional

    sgd = ("optimizer=sgd", "optimizer.learning_rate=1.0", "train.steps=1", "train.num_evals=2")
    words = (*SHARED, *SMALL, *sgd, f"model.norm={norm}", "model.depth=2", "model.bias=all", "model.initializer=torch")
    leaves = leaves_of(*words, f"train.dtype={dtype}")
    program, inputs, state, _ = weights_of(leaves)
    begun = named_leaves(state.trial.params)
    stepped = named_leaves(jax.jit(program.advance)(state, inputs, np.int32(1)).trial.params)
    w = {name.removeprefix("blocks."): torch.tensor(np.array(array[0]), requires_grad=True) for name, array in begun.items()}
    tokens, targets = (torch.tensor(np.array(inputs.shared[f"train_{name}"][0])).long() for name in ("inputs", "targets"))

    def norm_of(x, name, layer=...):
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.gain"][layer], w[f"{name}.shift"][layer])

    def linear(x, name, layer, equation):
        return torch.einsum(equation, x, w[f"{name}.weight"][layer]) + w[f"{name}.bias"][layer]

    x = w["embedding"][tokens] + w["positions"]
    for layer in range(2):
        read = norm_of(x, "norms.attention", layer) if norm == "pre" else x
        q, k, v = (linear(read, name, layer, "bld,dhe->blhe").transpose(1, 2) for name in ("query", "key", "value"))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        x = x + linear(mixed, "attended", layer, "blhe,hed->bld")
        x = norm_of(x, "norms.attention", layer) if norm == "post" else x
        read = norm_of(x, "norms.mlp", layer) if norm == "pre" else x
        x = x + linear(torch.relu(linear(read, "hidden", layer, "bld,dm->blm")), "read", layer, "blm,md->bld")
        x = norm_of(x, "norms.mlp", layer) if norm == "post" else x
    x = norm_of(x, "last_norm") if norm == "pre" else x
    loss = functional.cross_entropy((x @ w["unembedding"] + w["unembedding_bias"])[:, -1], targets)
    loss.backward()
    measured = jax.jit(program.evaluate)(state, inputs)["train_loss"][0]
    np.testing.assert_allclose(measured, loss.item(), rtol=rtol)
    largest = max(float(array.grad.abs().max()) for array in w.values())
    steps_made = {name.removeprefix("blocks."): np.array(begun[name][0] - stepped[name][0]) for name in begun}
    for name, array in w.items():
        found = steps_made[name]
        np.testing.assert_allclose(found, array.grad.numpy(), rtol=rtol, atol=rtol * largest, err_msg=name)
