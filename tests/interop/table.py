"""A table of NIR files: those of the peers, and the library's own networks.

    python -m tests.interop.table

For each file of `shared/data/nir/peers`: what comes of it without settings, and its spikes and
membranes beside the recorded ones with the settings that its README gives. Then every layer of
neurons and every network of the tests, saved and loaded; then what `save` refuses.
"""

import inspect
import warnings

import equinox as eqx
import jax

from snnjax import Sequential, nn
from snnjax.interop.nir import load, save, to_graph

from ._arrays import arrays
from ._peers import BY_HAND, PEERS, TOLD, compare
from .test_nir_save import CANNOT, OPTIONS, OWN, REFUSED, linear


def main():
    warnings.simplefilter("ignore")
    print("## Files of other tools\n")
    _rows("file", "without settings", "with them", "spikes", "differ", "others, at most")
    for name, told in TOLD.items():
        _file(name, told)
    for name in BY_HAND:
        for dialect in ("euler", "exact"):
            with jax.enable_x64(True):
                _file(f"hand_{name}", {"dialect": dialect, "dt": 1e-3}, f"ref_{dialect}_")
    print("\n## The library's own, saved and loaded\n")
    _rows("network", "comes back")
    for build in OWN:
        _print(build.__name__, _back(build(), OPTIONS.get(build.__name__, {})))
    for name, made in _neurons():
        _print(name, _back(Sequential(linear(2, 3), made), {} if hasattr(made, "dt") else DT))
    print("\n## Refused by save\n")
    _rows("for", "message")
    for model, options, _ in REFUSED:
        _print(options.get("dialect", "NIR"), _refusal(model, options))
    for dialect, layer, _ in CANNOT:
        _print(dialect, _refusal(Sequential(linear(2, 3), layer), {"dialect": dialect}))


DT = {"dt": 1e-3}
ARGUMENTS = {"Leaky": (0.9,), "Synaptic": (0.8, 0.9)}


def _file(name, told, prefix=""):
    path, recorded = PEERS / f"{name}.nir", arrays(PEERS / f"{name}.npz")
    try:
        loaded = load(path)
        alone = f"{loaded.dialect}, {compare(loaded.network, recorded).differ} spikes differ"
    except ValueError as error:
        alone = (
            "refused: "
            + " ".join(str(error).split())
            .replace(f"{path}: ", "")
            .partition(" Tell them")[0]
            .partition(" Say it")[0]
        )
    loaded = load(path, **told)
    found = compare(loaded.network, recorded, prefix)
    _print(name, alone, loaded.dialect, found.spikes, found.differ, f"{found.apart:.1e}")


def _neurons():
    """Every layer of neurons of the library, as it is by default."""
    for name, cls in sorted(vars(nn).items()):
        if isinstance(cls, type) and issubclass(cls, nn.Layer) and not inspect.isabstract(cls):
            try:
                yield name, cls(3, *ARGUMENTS.get(name, ()))
            except TypeError:
                continue


def _back(model, options):
    try:
        loaded = load(to_graph(model, **options))
    except ValueError as error:
        return f"refused: {error}"
    return "bit-equal" if eqx.tree_equal(loaded.network, model) else "DIFFERS"


def _refusal(model, options):
    try:
        save(model, "never.nir", **options)
    except ValueError as error:
        return str(error)
    return "NOT REFUSED"


def _rows(*names):
    _print(*names)
    _print(*("---" for _ in names))


def _print(*cells):
    print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
