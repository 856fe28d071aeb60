"""The DSR layers; `tests/neurons/test_dsr.py` has the equations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import DSRIF, DSRLIF, Sequential, families, record, trainable
from snnjax.neurons import dsr

SHAPE, STEPS = (2, 3, 3), 16
LAYERS = {
    "IF": lambda **k: DSRIF(SHAPE, **{"threshold": [1.0, 2.0], **k}),
    "LIF": lambda **k: DSRLIF(SHAPE, **{"threshold": [0.5, 0.8], "dt": 0.4, **k}),
    "official IF": lambda **k: DSRIF.official(SHAPE),
    "official LIF": lambda **k: DSRLIF.official(SHAPE),
    "ImageNet": lambda **k: DSRIF.official_imagenet(SHAPE, threshold=2.0),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
run = eqx.filter_jit(lambda layer, x, state=None: layer(x, state))


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(1.5, 2, (STEPS, *SHAPE)), jnp.float32)


def assert_trees_close(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), a, b)


@pytest.mark.few(2)
@each_layer
def test_a_layer_is_its_kernel(name, x):
    layer = LAYERS[name]()
    kernel = dsr.dsr_if if isinstance(layer, DSRIF) else dsr.dsr_lif
    y, _ = layer(x)
    np.testing.assert_array_equal(y, kernel(x, layer.threshold, layer.settings))
    assert 0.05 < (y > 0).mean() < 0.95
    grads = eqx.filter_grad(lambda both: (both[0](both[1])[0] ** 2).sum())((layer, x))
    wanted = jax.grad(
        lambda theta, x: (kernel(x, theta, layer.settings) ** 2).sum(), argnums=(0, 1)
    )(layer.threshold, x)
    np.testing.assert_allclose(grads[0].threshold, wanted[0], rtol=1e-5)
    np.testing.assert_allclose(grads[1], wanted[1], rtol=1e-5)
    assert np.any(grads[1])


def test_presets_are_those_of_the_authors():
    assert DSRIF.official(3).settings == dsr.OFFICIAL_IF
    assert DSRLIF.official(3).settings == dsr.OFFICIAL_LIF
    assert DSRIF.official_imagenet(3, 2.0).settings == dsr.OFFICIAL_IF_IMAGENET
    thresholds = (DSRIF.official(3).threshold, DSRLIF.official(3).threshold)
    np.testing.assert_allclose(thresholds, (6.0, 0.3), rtol=1e-6)


@each_layer
def test_single_steps_equal_the_whole_exactly(name, x):
    layer, outputs = LAYERS[name](), []
    state = layer.initial_state()
    step = eqx.filter_jit(lambda layer, x, state: layer.step(x, state))
    for x_t in x:
        y, state = step(layer, x_t, state)
        outputs.append(y)
    whole, after = run(layer, x)
    np.testing.assert_array_equal(jnp.stack(outputs), whole)
    assert_trees_close(state, after)


@each_layer
def test_pieces_with_the_state_carried_over_equal_the_whole(name, x):
    layer = LAYERS[name]()
    first, state = run(layer, x[:5])
    last, after = run(layer, x[5:], state)
    assert_trees_close((jnp.concatenate([first, last]), after), run(layer, x))


@pytest.mark.few(4)
@each_layer
def test_record_gives_the_potentials_over_time(name, x):
    layer = LAYERS[name]()
    _, middle = run(layer, x[:4])
    y, state, records = record(Sequential(layer), x[4:], (middle,))
    assert records.keys() == {f"layers[0].{n}" for n in ("vmem", "spikes", "output")}
    vmem = records["layers[0].vmem"]
    for t in (0, 5, 11):
        np.testing.assert_allclose(vmem[t], run(layer, x[: 5 + t])[1].vmem, atol=1e-4)
    np.testing.assert_allclose(vmem[-1], state[0].vmem, atol=1e-4)
    np.testing.assert_array_equal(records["layers[0].spikes"], y)


def test_a_batch_by_vmap_equals_a_loop(x):
    layer, batch = LAYERS["LIF"](), jnp.stack([x, 0.5 * x, -x])
    y, _ = jax.vmap(layer)(batch)
    np.testing.assert_allclose(y, jnp.stack([layer(one)[0] for one in batch]), atol=1e-6)


def test_the_threshold_is_a_parameter_that_can_be_frozen(x):
    layer = LAYERS["IF"]()
    assert families(layer) == {"threshold": "thresholds"}
    assert trainable(layer).threshold
    held = LAYERS["IF"](frozen=("threshold",))
    assert not trainable(held).threshold
    large = 3 * x
    grads = [eqx.filter_grad(lambda m: m(large)[0].sum())(m).threshold for m in (layer, held)]
    assert np.any(grads[0])
    assert not np.any(grads[1])


def test_an_empty_sequence_leaves_the_state_as_it_is(x):
    layer = LAYERS["IF"]()
    _, state = layer(x)
    y, after = layer(x[:0], state)
    assert y.shape == (0, *SHAPE)
    assert_trees_close(after, state)


@pytest.mark.parametrize(
    ("kind", "argument", "value", "expected"),
    [
        (DSRIF, "shape", 0, "a whole number above 0"),
        (DSRIF, "threshold", -1.0, "above 0; got -1.0"),
        (DSRIF, "threshold", float("nan"), "finite; got nan"),
        (DSRIF, "threshold", np.ones(SHAPE), "one number or an array of shape (2,)"),
        (DSRIF, "ratio", 0.0, "above 0 and at most 1; got 0.0"),
        (DSRIF, "ratio", 1.5, "above 0 and at most 1; got 1.5"),
        (DSRIF, "lower_bound", 0.0, "above 0; got 0.0"),
        (DSRIF, "bound", "clip", "one of 'clamp', 'project'; got 'clip'"),
        (DSRIF, "frozen", ("tau",), "one of 'threshold'; got 'tau'"),
        (DSRLIF, "tau", 0.0, "above 0; got 0.0"),
        (DSRLIF, "dt", -1.0, "above 0; got -1.0"),
    ],
)
def test_a_bad_argument_is_an_error_that_names_it_and_what_would_do(
    kind, argument, value, expected
):
    with pytest.raises(ValueError, match=f"^`{argument}` must be ") as error:
        kind(**{"shape": SHAPE, argument: value})
    assert expected in str(error.value)


def test_input_of_a_wrong_shape_is_an_error_that_says_which_is_right():
    with pytest.raises(
        ValueError, match=r"`x` must have the shape \(time, 2, 3, 3\); got \(4, 2\)"
    ):
        LAYERS["IF"]()(jnp.ones((4, 2)))
