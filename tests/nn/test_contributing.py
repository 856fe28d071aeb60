"""The neuron of one's own in CONTRIBUTING.md, under the tests of all neurons."""

import functools
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import families, quant, record, transforms
from snnjax.nn import Sequential

from . import test_neurons as generic
from .neurons import SHAPE, draw

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def qif():
    if not PAGE.exists():
        pytest.skip("CONTRIBUTING.md is not in this copy of the tests")
    section = PAGE.read_text().partition("### A neuron\n")[2].partition("\n### ")[0]
    names = {"__name__": "own_neuron"}
    exec("\n".join(re.findall(r"```python\n(.*?)```", section, flags=re.S)), names)
    return functools.partial(names["QIF"], SHAPE)


@pytest.mark.parametrize("variant", generic.VARIANTS)
def test_it_streams_with_recurrence_and_refractoriness(qif, variant):
    generic.test_single_steps_equal_the_whole_exactly(qif, variant)


def test_it_records_and_waits(qif):
    generic.test_states_of_what_is_wrapped_around_a_kernel_are_recorded_by_their_names(qif)
    generic.test_neurons_do_not_fire_for_as_many_steps_as_the_refractory_period_lasts(qif, True)


def test_its_parameters_are_trained_frozen_and_found_by_family(qif):
    generic.test_frozen_parameters_get_no_gradient_and_the_others_do(qif)
    assert families(qif()) == {"threshold": "thresholds"}


def test_a_plan_reaches_its_state(qif):
    model = Sequential(qif())
    plan = transforms.plan(model, states={"QIF.vmem": quant.Clip(-0.2, 0.2)})
    _, _, records = record(transforms.apply(plan, model), draw())
    assert np.abs(records["layers[0].vmem"]).max() <= np.float32(0.2)


def test_it_computes_its_equation(qif):
    vmem, wanted = np.zeros(SHAPE), []
    for x in np.asarray(draw(), float):
        vmem = vmem + 0.5 * (vmem**2 + x)
        spikes = vmem >= 1
        vmem = np.where(spikes, 0, vmem)
        wanted.append(spikes)
    np.testing.assert_array_equal(qif()(jnp.asarray(draw()))[0], wanted)
