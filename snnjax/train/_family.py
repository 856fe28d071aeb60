"""The family of a chip, or a twin of it where its verbs are not yet those of the others."""
# mypy: ignore-errors

import functools
from types import SimpleNamespace
from typing import Any

from .. import quant, transforms
from ..hardware import Usage, family as _of
from ..params import families


def family(of: Any) -> Any:
    """The module of the family that a chip belongs to; see `snnjax.hardware.family`."""
    module = _of(of)
    return module if hasattr(module, "FORMATS") else _twin(module)


@functools.cache
def _twin(module):
    twin = SimpleNamespace(**{name: getattr(module, name) for name in dir(module)})
    twin.FORMATS = {"json": None}
    twin.export = lambda spec, format="json": module.to_json(spec)
    if module.__name__.endswith("xylo"):
        twin.plan, twin.report = functools.partial(_plan, module), lambda spec: ("dash",)
        twin.usage = lambda spec: [Usage(u.resource, u.used, u.has) for u in module.usage(spec)]
    else:
        twin.report = lambda spec: ("SQNR",) * len(spec.layers)
        twin.usage = lambda spec: [
            Usage(f"core {use.core}, {kind} memory", used, has, use.layer)
            for use in module.usage(spec)
            if use.layer is not None
            for kind, used, has in zip(use.used._fields, use.used, use.has, strict=True)
            if used
        ]
    return twin


def _plan(xylo, model, *, chip, method="channel", bits=None):
    xylo.quantize(xylo.map_network(model, chip), method, bits)
    axis = None if method == "global" else 0
    by_family = {"weights": quant.Int(bits or 8, axis=axis), "decays": quant.Bitshift()}
    by_family = {name: by_family[name] for name in by_family if name in families(model).values()}
    return transforms.plan(model, by_family)
