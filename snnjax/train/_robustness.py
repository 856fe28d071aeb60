"""Networks on circuits that are not quite what they should be: attacks, training against them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import quant
from .._checks import explained
from .._tree import modules_with_path, path_str
from .._typing import FloatArray, Key, PyTree
from ..params import families as families_of
from ._loop import Loss, Metrics

Outputs: TypeAlias = Callable[[PyTree, PyTree, Key], FloatArray]
Divergence: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


@explained
def kl_divergence(
    logits: Float[Array, "*batch classes"], others: Float[Array, "*batch classes"]
) -> Float[Array, ""]:
    """How far other answers are from those there should be: sum of p*log(p/q), mean over a batch.

    Args:
        logits: those of p.
        others: those of q.
    """
    log_p, log_q = jax.nn.log_softmax(logits), jax.nn.log_softmax(others)
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1).mean()


@explained
def attack(
    loss: Callable[[PyTree], FloatArray],
    model: PyTree,
    *,
    key: Key,
    level: float = 0.025,
    steps: int = 10,
    start: float = 0.5,
    families: Sequence[str] = ("weights",),
) -> PyTree:
    """The model with its parameters changed, each by a small share of itself, to raise a loss.

        p' = p + d*|p|      d <- d + level/steps * sign(dloss/dd), within [-level, level]

    from a random d, for `steps` steps. The gradient of what is computed with the attacked model
    goes to the parameters, as if d had been given. What is 0 stays 0.

    Args:
        loss: what to raise. It has a gradient and needs no random numbers of its own.
        model: a network, or anything that holds one; settings of transforms are left alone.
        key: for the start.
        level: largest change of a parameter, relative to it.
        steps: steps of gradient ascent.
        start: standard deviation of the first d, relative to `level`. It must be large enough for
            the loss to have a gradient: that of a divergence from the spikes of the model itself is
            0 until one of them has changed.
        families: which parameters are attacked.

    Raises:
        ValueError: if the model has no parameters of one of `families`, `level` is negative, or
            there are no `steps`.

    Source: J. Buechel, F. Faber, D. R. Muir, "Network insensitivity to parameter noise via
        adversarial regularization", arXiv 2106.05009; Rockpool, `pga_attack`, which starts at
        1e-3 whatever the level and has the same other defaults.
    """
    if not level >= 0 or steps < 1:
        raise ValueError(f"`level` must be at least 0 and `steps` above 0; got {level} and {steps}")
    attacked, rest = eqx.partition(model, _mask(model, families))

    def moved(change: PyTree, attacked: PyTree, rest: PyTree) -> PyTree:
        return eqx.combine(jax.tree.map(lambda p, d: p + d * jnp.abs(p), attacked, change), rest)

    held = _held(attacked), _held(rest)

    def step(change: PyTree, _: None) -> tuple[PyTree, None]:
        grads = jax.grad(lambda change: loss(moved(change, *held)))(change)
        stepped = jax.tree.map(
            lambda d, g: jnp.clip(d + level / steps * jnp.sign(g), -level, level), change, grads
        )
        return stepped, None

    leaves, structure = jax.tree.flatten(attacked)
    keys = jax.random.split(key, len(leaves))
    first = [
        jnp.clip(start * level * jax.random.normal(own, p.shape, p.dtype), -level, level)
        for p, own in zip(leaves, keys, strict=True)
    ]
    change, _ = jax.lax.scan(step, jax.tree.unflatten(structure, first), length=steps)
    return moved(change, attacked, rest)


@explained
def adversarial_loss(
    outputs: Outputs,
    task: Callable[[FloatArray, PyTree], tuple[FloatArray, Metrics]],
    *,
    beta: float = 0.25,
    level: float = 0.025,
    steps: int = 10,
    start: float = 0.5,
    families: Sequence[str] = ("weights",),
    divergence: Divergence = kl_divergence,
) -> Loss:
    """A loss for `make_epoch` that also asks for the same answers when the parameters are attacked.

        loss = task(y, batch) + beta*divergence(y, y')      y' the outputs of the attacked model

    What `outputs` computes may go through a plan, whose transforms then see attacked parameters, or
    through the integers of a chip:

        adversarial_loss(lambda model, batch, key: xylo.emulate(model)(batch[0]).spikes_out.sum(1),
                         task)

    To attack the transformed parameters, as the circuits do that hold them, apply the plan around:

        robust = adversarial_loss(outputs, task)
        loss = lambda model, batch, key: robust(transforms.apply(plan, model, key=key), batch, key)

    A step costs about `steps` + 1 times one without.

    Args:
        outputs: (model, batch, key) -> outputs, such as the readout's spike counts. It gets the
            same key for both models.
        task: (outputs, batch) -> (loss, metrics), both of them means over the batch.
        beta: weight of the divergence.
        level: see `attack`.
        steps: see `attack`.
        start: see `attack`.
        families: see `attack`.
        divergence: (outputs, outputs of the attacked model) -> how far they are apart.

    Returns:
        (model, batch, key) -> (loss, metrics), with the metric "divergence" besides those of
        `task`.

    Raises:
        ValueError: by the function, if the model has no parameters of one of `families`.

    Source: as for `attack`; Rockpool, `adversarial_loss`.
    """

    def loss(model: PyTree, batch: PyTree, key: Key) -> tuple[FloatArray, Metrics]:
        output_key, attack_key = jax.random.split(key)
        clean = outputs(model, batch, output_key)
        value, metrics = task(clean, batch)
        held = jax.lax.stop_gradient(clean)
        attacked = attack(
            lambda model: divergence(held, outputs(model, batch, output_key)),
            model,
            key=attack_key,
            level=level,
            steps=steps,
            start=start,
            families=families,
        )
        apart = divergence(clean, outputs(attacked, batch, output_key))
        return value + beta * apart, {**metrics, "divergence": apart}

    return loss


class MismatchSweep(NamedTuple):
    """Accuracy at several levels of mismatch, for several draws of each.

    Attributes:
        levels: standard deviations of the parameters, relative to each.
        accuracies: share of right answers of each draw.
    """

    levels: Float[np.ndarray, " levels"]
    accuracies: Float[np.ndarray, "levels draws"]

    def __str__(self) -> str:
        """A table of mean, standard deviation and worst draw by level."""
        lines = ["mismatch   accuracy   std dev   worst draw"]
        lines += [
            f"{level:8.1%}   {of.mean():8.2%}   {of.std():7.2%}   {of.min():10.2%}"
            for level, of in zip(self.levels, self.accuracies, strict=True)
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it as what `json.dumps` takes."""
        return {name: array.tolist() for name, array in self._asdict().items()}


@explained
def mismatch_sweep(
    evaluate: Callable[[PyTree], FloatArray],
    model: PyTree,
    levels: Sequence[float],
    draws: int = 10,
    *,
    key: Key,
    families: Sequence[str] = ("weights",),
    at_once: int = 1,
) -> MismatchSweep:
    """Measure what is left of a network's accuracy when its parameters are off; see `mismatch`.

    Every level has the same draws, scaled, so that levels differ by nothing but the level. All of
    it is one compiled call.

    Args:
        evaluate: model -> share of right answers; it works under `jax.jit`.
        model: a network, or anything that holds one; settings of transforms are left alone.
        levels: standard deviations relative to each parameter; 0 is the network as it is.
        draws: networks to draw at each level.
        key: for the draws.
        families: which parameters are off.
        at_once: draws that are computed at the same time, with `jax.vmap`; more memory, and faster
            where one network does not occupy the machine.

    Raises:
        ValueError: if the model has no parameters of one of `families`, a level is negative, or
            there are no levels or draws.
    """
    if not len(levels) or draws < 1:
        raise ValueError(f"`levels` and `draws` must be above none; got {levels} and {draws}")
    for level in levels:
        if not level >= 0:
            raise ValueError(f"`levels` must be at least 0; got {level}")
    chosen, rest = eqx.partition(model, _mask(model, families))

    @eqx.filter_jit
    def run(chosen: PyTree, rest: PyTree) -> FloatArray:
        def measure(drawn: tuple[FloatArray, Key]) -> FloatArray:
            level, key = drawn
            leaves, structure = jax.tree.flatten(chosen)
            keys = jax.random.split(key, len(leaves))
            off = [quant.mismatch(p, level, key=k) for p, k in zip(leaves, keys, strict=True)]
            return evaluate(eqx.combine(jax.tree.unflatten(structure, off), rest))

        grid = jnp.repeat(jnp.asarray(levels, float), draws)
        keys = jnp.tile(jax.random.split(key, draws), len(levels))
        return jax.lax.map(measure, (grid, keys), batch_size=at_once)

    accuracies = np.asarray(run(chosen, rest)).reshape(len(levels), draws)
    return MismatchSweep(np.asarray(levels, float), accuracies)


def _mask(model: PyTree, families: Sequence[str]) -> PyTree:
    """True at the parameters of some families, False elsewhere."""
    transforms = [
        path for path, node in modules_with_path(model) if isinstance(node, quant.Transform)
    ]
    found = {
        path: family
        for path, family in families_of(model).items()
        if not path.startswith(tuple(f"{inside}." for inside in transforms))
    }
    for family in families:
        if family not in found.values():
            raise ValueError(
                f"`families`: the model has no parameter of the family {family!r}; it has: "
                f"{', '.join(sorted(set(found.values())))}"
            )
    leaves, structure = jax.tree_util.tree_flatten_with_path(model)
    return jax.tree.unflatten(structure, [found.get(path_str(p)) in families for p, _ in leaves])


def _held(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)
