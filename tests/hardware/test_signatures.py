"""The families have the same verbs and arguments, but for those that are listed with a reason."""

import inspect

import pytest

from snnjax import hardware

from . import leaky

OPERANDS = {
    "plan": ("model",),
    "map_network": ("model",),
    "check": ("spec",),
    "require": ("spec",),
    "require_integers": ("spec",),
    "usage": ("spec",),
    "report": ("spec",),
    "quantize": ("spec",),
    "simulate": ("spec", "raster"),
    "emulate": ("model",),
    "fidelity": ("model", "spec", "raster", "labels"),
    "latency": ("model",),
    "cost": ("spec", "raster"),
    "save": ("spec", "path"),
    "load": ("path",),
    "export": ("spec",),
}
"""The arguments of each verb that may be given by place."""

OPTIONS = {
    "plan": {"chip", "before"},
    "map_network": {"chip"},
    "check": {"chip"},
    "require": {"chip"},
    "usage": {"chip"},
    "simulate": {"state", "record", "checked"},
    "emulate": {"chip", "checked"},
    "fidelity": {"plan", "key"},
    "cost": {"trace"},
    "export": {"format"},
}
"""The arguments of each verb that every family has; by keyword only."""

REASONS = {
    ("xylo", "method"): "how a neuron's parameters are scaled; a core of DYNAP-CNN has one scale",
    ("xylo", "bits"): "Xylo shifts weights of fewer bits to the left; DYNAP-CNN cannot",
    ("dynapcnn", "input_shape"): "layers there take maps, whose size no layer tells",
    ("dynapcnn", "sensor"): "the chips have an event sensor",
    ("dynapcnn", "statistics"): "batch norms are folded; Xylo runs none",
    ("dynapcnn", "monitor"): "which layers' spikes the chip reports",
    ("dynapcnn", "cores"): "layers are laid on cores; Xylo has one",
    ("dynapcnn", "percentile"): "where the scale of a core cuts weights off",
    ("dynapcnn", "min_sqnr"): "the loss of a core that is warned of",
    ("dynapcnn", "max_zeroed"): "the loss of a core that is warned of",
    ("dynapcnn", "compat"): "the numbers of sinabs",
    ("dynapcnn", "dt"): "the chips have no steps; Xylo's have a length that the network knows",
    ("dynapcnn", "max_synops"): "a limit that the user has measured; Xylo's is its clock",
}
"""Arguments that one family has alone, and why."""

ABSENT = {
    ("dynapcnn", "latency"): "spikes reach the last layer within the step",
    ("leaky", "latency"): "it has one layer",
}
"""Verbs that a family lacks, and why."""

CLASSES = ("Chip", "Spec", "SimState", "Trace", "Plan", "CHIPS", "FORMATS")


def arguments(function):
    """The arguments that go by place, and the defaults of those that go by keyword."""
    parameters = inspect.signature(function).parameters.values()
    kinds = inspect.Parameter
    assert {p.kind for p in parameters} <= {kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY}
    by_place = tuple(p.name for p in parameters if p.kind is kinds.POSITIONAL_OR_KEYWORD)
    return by_place, {p.name: p.default for p in parameters if p.kind is kinds.KEYWORD_ONLY}


@pytest.fixture(params=[*hardware.FAMILIES, "leaky"])
def family(request, monkeypatch):
    monkeypatch.setitem(hardware.FAMILIES, "leaky", leaky.__name__)
    module = hardware.family(request.param)
    return request.param, module


@pytest.mark.parametrize("verb", OPERANDS)
def test_verbs_have_the_same_arguments(family, verb):
    name, module = family
    if (name, verb) in ABSENT:
        assert not hasattr(module, verb)
        return
    by_place, by_keyword = arguments(getattr(module, verb))
    assert by_place == OPERANDS[verb]
    shared = OPTIONS.get(verb, set())
    assert shared <= by_keyword.keys()
    for argument in by_keyword.keys() - shared:
        assert (name, argument) in REASONS, f"{name}.{verb} has `{argument}` alone, without reason"


def test_chips_have_one_default_in_every_verb_of_a_family(family):
    _, module = family
    defaults = [
        arguments(getattr(module, verb))[1]["chip"] for verb in ("plan", "map_network", "emulate")
    ]
    assert defaults[0] == defaults[1] == defaults[2]
    assert defaults[0] in module.CHIPS
    for verb in ("check", "require", "usage"):
        assert arguments(getattr(module, verb))[1]["chip"] is None


def test_every_family_has_the_same_names(family):
    _, module = family
    assert all(hasattr(module, name) for name in CLASSES)
    assert issubclass(module.Spec, hardware.Spec)
    assert issubclass(module.Chip, hardware.Chip)
    assert arguments(module.simulate)[1]["record"] is True
    assert arguments(module.simulate)[1]["state"] is None
    assert arguments(module.export)[1]["format"] == next(iter(module.FORMATS))


def test_reasons_are_of_arguments_that_there_are():
    found = {
        (name, argument)
        for name in hardware.FAMILIES
        for verb in OPERANDS
        if callable(getattr(hardware.family(name), verb, None))
        for argument in arguments(getattr(hardware.family(name), verb))[1]
    }
    assert REASONS.keys() <= found
