"""The text of a printed spec or trace."""

import jax
import numpy as np
import pytest

from snnjax import SynNet
from snnjax.hardware import xylo


@pytest.fixture(scope="module")
def mapped():
    return xylo.map_network(SynNet(2, 3, (4,), (2,), key=jax.random.key(0)))


def test_a_spec_has_its_use_and_its_arrays(mapped):
    spec = xylo.quantize(mapped)
    text = repr(spec)
    assert text.startswith(
        "Spec for Xylo Audio 3 (SYNS65302), integers\n  input channels: 3 of 16\n"
    )
    assert f"w_in           3 x 4 x 1, {np.min(spec.w_in)} to {np.max(spec.w_in)}" in text
    assert "real numbers" in repr(mapped)


def test_a_spec_without_values(mapped):
    seen = []

    @jax.jit
    def f(spec):
        seen.append(repr(spec))
        return spec.w_in.sum()

    f(mapped)
    assert "w_in           3 x 4 x 1 of float32" in seen[0]
    assert "input channels" not in seen[0]
    assert "Spec" in repr(jax.tree.map(lambda x: "text", mapped, is_leaf=lambda x: x is None))


def test_a_trace_has_shapes_and_ranges():
    arrays = {"spikes_out": np.array([[0, 3]]), "state": xylo.SimState(*[np.zeros(1)] * 5)}
    text = repr(xylo.Trace(**dict.fromkeys(xylo.Trace._fields) | arrays))
    assert "spikes_out: 1 x 2, 0 to 3" in text
    assert "vmem: None" in text
    assert "state: isyn, vmem, spikes, isyn_out, vmem_out" in text


def test_treescope_shows_specs(mapped):
    treescope = pytest.importorskip("treescope", reason="treescope is not installed")
    assert "w_rec" in treescope.render_to_text(mapped)
