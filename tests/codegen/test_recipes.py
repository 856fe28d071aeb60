"""Networks that the recipes train: on all of their held-out data the C is the simulator."""

from pathlib import Path

import jax
import numpy as np
import pytest

from snnjax.hardware import family
from snnjax.train.recipes import Digits, Images, Speech

from .compilers import Built, assert_same

SPOKEN = Path(__file__).parents[3] / "shared/data/free-spoken-digit-dataset"

RECIPES = {
    "digits": lambda: Digits(epochs=2),
    "images": lambda: Images(epochs=2),
    "speech": lambda: Speech(data=str(SPOKEN), stages="float:4,chip:1"),
}


@pytest.fixture(autouse=True)
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        yield


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name == "speech" else pytest.mark.slow)
        for name in RECIPES
    ],
)
def test_c_is_the_simulator_on_the_held_out_data_of_a_recipe(name, tmp_path):
    if name == "speech" and not SPOKEN.is_dir():
        pytest.skip("needs the Free Spoken Digit Dataset")
    recipe = RECIPES[name]()
    data = recipe.load_data()
    *_, (after, _) = recipe.train(data, recipe.start(data))
    spec = recipe.deploy(after.model)
    rasters = np.asarray(data.test[0]).astype(np.int32)
    built = Built(spec, tmp_path)
    found = built.run("gcc -O3", rasters)
    trace = family(spec).simulate(spec, rasters)
    assert_same(spec, trace, found)
    assert np.asarray(trace.spikes_out).any()
    print(f"{name}: {len(rasters)} recordings, {built.program.footprint.text()}")
