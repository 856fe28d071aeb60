"""What networks and layers of neurons refuse, with an error that says what would do."""

import pytest

from snnjax import IAF, LIF, Sequential

# ----- networks


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (({"a": IAF(4)}, IAF(4)), "`layers` must be one dictionary of all layers"),
        ((IAF(4), {"a": IAF(4)}), "`layers` must be one dictionary of all layers"),
        (([IAF(4), IAF(4)],), r"`layers\[0\]` must be a layer; got list; .*Sequential\(\*layers\)"),
        ((IAF(4), LIF), r"`layers\[1\]` must be a layer; got the class LIF; .*LIF\(\.\.\.\)"),
        ((("out", IAF),), r"`layers\[0\]` must be a layer; got the class IAF"),
    ],
)
def test_what_is_no_list_of_layers_is_an_error(layers, message):
    with pytest.raises(TypeError, match=message):
        Sequential(*layers)


def test_a_network_has_as_many_entries_as_layers():
    model = Sequential(IAF(4), ("out", IAF(4)))
    assert len(model) == 2
    assert [layer.shape for layer in model] == [(4,), (4,)]
