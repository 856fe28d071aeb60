"""The closed form in time of the IAF layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import IAF, record
from snnjax.surrogate import Gaussian


def draw(seed=0, shape=(40, 2, 3)):
    return jnp.asarray(np.random.default_rng(seed).normal(0.2, 1, shape), jnp.float32)


@pytest.mark.few(1)
@pytest.mark.parametrize("state", [None, 1])
def test_the_closed_form_gives_the_run_of_the_loop(state):
    loop, closed = (IAF((2, 3), threshold=[0.5, 0.9], parallel=flag) for flag in (False, True))
    before = None if state is None else loop(draw(1))[1]
    y, after, records = record(loop, draw(), before)
    again, after_again, found = record(closed, draw(), before)
    assert y.sum() > 50
    np.testing.assert_array_equal(again, y)
    np.testing.assert_allclose(after_again.vmem, after.vmem, atol=1e-5)
    assert found.keys() == records.keys()
    for name, values in records.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["spikes", "vmem"])
def test_the_closed_form_has_the_gradients_of_the_loop(output):
    def gradients(parallel):
        layer = IAF((2, 3), surrogate=Gaussian(jnp.array(0.7)), output=output, parallel=parallel)
        weights = draw(2)
        return eqx.filter_grad(lambda both: (both[0](both[1])[0] * weights).sum())((layer, draw()))

    for a, b in zip(*map(jax.tree.leaves, (gradients(False), gradients(True))), strict=True):
        assert np.any(a)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_closed_form_is_no_loop():
    def loops(parallel):
        return str(jax.make_jaxpr(IAF((2, 3), parallel=parallel))(draw())).count("time_loop[")

    assert (loops(False), loops(True)) == (1, 0)


def test_an_empty_sequence_has_no_spikes():
    layer = IAF(3, parallel=True)
    y, state = layer(jnp.zeros((0, 3)), layer.step(jnp.full(3, 0.5))[1])
    assert y.shape == (0, 3)
    np.testing.assert_array_equal(state.vmem, np.full(3, 0.5))


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_spikes": 1}, "`max_spikes`"),
        ({"min_vmem": -1.0}, "`min_vmem`"),
        ({"reset": "zero"}, "`reset`='zero'"),
        ({"refractory": 1}, "`refractory`"),
        ({"w_rec": np.zeros((3, 3))}, "`w_rec`"),
        ({"detach_reset": True}, "`detach_reset`"),
    ],
)
def test_what_has_no_closed_form_is_an_error_that_names_it(settings, named):
    with pytest.raises(ValueError, match="`parallel` must be False") as error:
        IAF(3, parallel=True, **settings)
    assert named in str(error.value)
