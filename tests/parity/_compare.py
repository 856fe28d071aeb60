"""What the tests against golden vectors share: reading a file, running a kernel, comparing."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

# Two correct implementations differ by float32 rounding in another order of operations.
TOLERANCE = 1e-5


@functools.cache
def golden(name):
    """The arrays of a file by `case/group/name`, and its manifest."""
    with np.load(Path(__file__).with_name(f"{name}.npz")) as file:
        arrays = dict(file)
    return arrays, json.loads(str(arrays.pop("manifest")))


def cases(name, kind=None):
    """The names of a file's cases, or of those of a kind."""
    every = golden(name)[1]["cases"]
    return [case for case, settings in every.items() if kind in (None, settings["kind"])]


def load(name, case):
    """The settings of a case, and its arrays by `group/name`."""
    arrays, manifest = golden(name)
    own = {k.removeprefix(f"{case}/"): v for k, v in arrays.items() if k.startswith(f"{case}/")}
    return manifest["cases"][case], own


def group(arrays, prefix):
    """The arrays of a group by name, as JAX arrays."""
    prefix = f"{prefix}/"
    return {
        k.removeprefix(prefix): jnp.asarray(v) for k, v in arrays.items() if k.startswith(prefix)
    }


def deviation(actual, desired):
    """The largest difference, relative to the largest entry."""
    actual, desired = np.asarray(actual), np.asarray(desired)
    assert actual.shape == desired.shape
    return np.abs(actual - desired).max() / np.abs(desired).max()


def run(step, state, x):
    """Outputs and states of a kernel over time, for `x` (time, batch, ...)."""

    def body(before, x_t):
        after, y = step(before, x_t)
        return after, (y, after)

    def one(x):
        _, (y, states) = jax.lax.scan(body, state, x)
        return {"spikes": y, **states._asdict()} if hasattr(states, "_asdict") else {"spikes": y}

    return jax.vmap(one, in_axes=1, out_axes=1)(x)


def outputs_and_gradients(forward, param, arrays):
    """What `forward(param, x)` gives, and the gradients of the loss that was stored.

    `forward` gives a dictionary that has everything that the loss weighs.
    """
    weights = group(arrays, "loss")

    def loss(param, x):
        out = forward(param, x)
        return sum((out[name] * weight).sum() for name, weight in weights.items()), out

    graded = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (d_param, d_x), out = graded(param, jnp.asarray(arrays["input"]))
    return out, {**d_param, "input": d_x}


def check(forward, arrays, *, states=("vmem",), tolerance=TOLERANCE):
    """Hold spikes to equality, states and the stored gradients to `tolerance`."""
    out, gradients = outputs_and_gradients(forward, group(arrays, "param"), arrays)
    np.testing.assert_array_equal(out["spikes"], arrays["out/spikes"])
    worst = {name: deviation(out[name], arrays[f"out/{name}"]) for name in states}
    wanted = group(arrays, "grad")
    assert "input" in wanted
    worst |= {f"d {name}": deviation(gradients[name], value) for name, value in wanted.items()}
    assert max(worst.values()) < tolerance, worst
    return worst
