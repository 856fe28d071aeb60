"""The family of a chip, or a twin of it where its verbs are not yet those of the others."""
# mypy: ignore-errors

import functools
from types import SimpleNamespace
from typing import Any

from ..hardware import Usage, family as _of


def family(of: Any) -> Any:
    """The module of the family that a chip belongs to; see `snnjax.hardware.family`."""
    module = _of(of)
    return module if hasattr(module, "FORMATS") else _twin(module)


@functools.cache
def _twin(module):
    twin = SimpleNamespace(**{name: getattr(module, name) for name in dir(module)})
    twin.FORMATS = {"json": None}
    twin.export = lambda spec, format="json": module.to_json(spec)
    twin.report = lambda spec: ("SQNR",) * len(spec.layers)
    twin.usage = lambda spec: [
        Usage(f"core {use.core}, {kind} memory", used, has, use.layer)
        for use in module.usage(spec)
        if use.layer is not None
        for kind, used, has in zip(use.used._fields, use.used, use.has, strict=True)
        if used
    ]
    return twin
