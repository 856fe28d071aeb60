"""Files of each chip that an earlier snnjax saved load to the same integers."""

from pathlib import Path

import equinox as eqx
import numpy as np
import pytest

from snnjax import hardware

OLD = Path(__file__).parent / "old"
CHIPS = [name for family in hardware.FAMILIES for name in hardware.family(family).CHIPS]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_file_of_version_1_has_the_integers_that_were_saved(chip, tmp_path):
    family = hardware.family(chip)
    spec = family.load(OLD / f"{chip}.json")
    assert spec.chip == family.CHIPS[chip]
    layers = getattr(spec, "layers", ())
    with np.load(OLD / "integers.npz") as saved:
        names = [name for name in saved.files if name.partition("/")[0] == chip]
        assert names
        for name in names:
            field = name.partition("/")[2]
            if field.startswith("layers["):
                layer, _, array = field.partition(".")
                found = getattr(layers[int(layer[7:-1])], array)
            else:
                found = getattr(spec, field)
            np.testing.assert_array_equal(found, saved[name], err_msg=name)
    # Saved again, in the version of today, it is the same.
    family.save(spec, tmp_path / "new.json")
    assert eqx.tree_equal(family.load(tmp_path / "new.json"), spec)
