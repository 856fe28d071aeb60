"""A product and a layer of leaky neurons by hand, time first, to hold a general library against.

    vmem = alpha*vmem + current; spikes = vmem >= threshold; vmem -= spikes*threshold

Decay and threshold are numbers and get no gradient. The backward pass is written out: one loop over
the potentials that the forward pass kept, and two products.
"""

import jax
import jax.numpy as jnp

ALPHA, THRESHOLD, SLOPE = 0.95, 1.0, 25.0


@jax.custom_vjp
def reference(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Spikes (time, batch, neurons) of the inputs (time, batch, inputs)."""

    def step(vmem: jax.Array, current: jax.Array) -> tuple[jax.Array, jax.Array]:
        _, after, spikes = _step(vmem, current)
        return after, spikes

    return jax.lax.scan(step, _rest(weight, x), x @ weight.T)[1]


def _rest(weight: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.zeros((x.shape[1], len(weight)), x.dtype)


def _step(vmem: jax.Array, current: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    vmem = ALPHA * vmem + current
    spikes = (vmem >= THRESHOLD).astype(vmem.dtype)
    return vmem, vmem - spikes * THRESHOLD, spikes


def _forward(weight: jax.Array, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    def step(vmem: jax.Array, current: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        vmem, after, spikes = _step(vmem, current)
        return after, (vmem, spikes)

    _, (vmems, spikes) = jax.lax.scan(step, _rest(weight, x), x @ weight.T)
    return spikes, (weight, x, vmems)


def _backward(kept: tuple[jax.Array, ...], d_spikes: jax.Array) -> tuple[jax.Array, jax.Array]:
    weight, x, vmems = kept

    def step(d_after: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        vmem, d_spike = now
        slope = 1 / (1 + SLOPE * jnp.abs(vmem - THRESHOLD)) ** 2
        d_vmem = d_after + slope * (d_spike - THRESHOLD * d_after)
        return ALPHA * d_vmem, d_vmem

    _, d_current = jax.lax.scan(step, jnp.zeros_like(vmems[0]), (vmems, d_spikes), reverse=True)
    return jnp.einsum("tbn,tbm->nm", d_current, x), d_current @ weight


reference.defvjp(_forward, _backward)
