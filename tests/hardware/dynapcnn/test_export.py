"""What is saved is loaded again, and nothing else is; and the vendor's objects can be filled."""

import dataclasses
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.dynapcnn import (
    CHIPS,
    SPECK_2F,
    Destination,
    NoiseFilter,
    Sensor,
    Spec,
    export,
    load,
    save,
    simulate,
)
from snnjax.hardware.dynapcnn._load import spec_of

SENSOR = Sensor(
    size=(24, 20),
    pool=(2, 2),
    crop=((1, 11), (0, 8)),
    mirror_x=True,
    mirror_y=True,
    enabled=False,
)


@pytest.fixture
def make_full(make_spec):
    """`make_spec`, with everything in it that is optional."""
    first = {
        "bias": [1, 0, -3],
        "vmem": np.arange(240).reshape(3, 10, 8) - 100,
        "reset": "zero",
        "max_spikes": 4,
    }
    second = {"min_vmem": None, "stride": (2, 1), "padding": (0, 3)}
    return lambda **fields: make_spec(first=first, second=second, **({"sensor": SENSOR} | fields))


@pytest.mark.parametrize("chip", CHIPS)
def test_round_trip(make_spec, tmp_path, chip):
    spec = make_spec(chip=CHIPS[chip])
    save(spec, tmp_path / "speck.json")
    loaded = load(str(tmp_path / "speck.json"))
    assert eqx.tree_equal(spec, loaded)
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(loaded))


def test_round_trip_of_everything_optional(make_full, tmp_path):
    spec, path = make_full(), tmp_path / "speck.json"
    save(spec, path)
    assert eqx.tree_equal(spec, load(path))
    assert eqx.tree_equal(spec, spec_of(export(spec)))
    merged = make_full(sensor=None, chip=SPECK_2F)
    assert eqx.tree_equal(merged, spec_of(export(merged)))


def test_x_comes_before_y_as_the_vendor_has_it(make_full):
    spec = make_full()
    config = export(spec)
    first, second = (config["cnn_layers"][core] for core in "01")
    weight = np.asarray(spec.layers[0].weight)
    assert np.shape(first["weights"]) == (3, 2, 3, 3)
    np.testing.assert_array_equal(first["weights"], weight.transpose(0, 1, 3, 2))
    assert first["neurons_initial_value"][2][7][9] == int(spec.layers[0].vmem[2, 9, 7])
    assert first["dimensions"]["output_shape"] == {"size": {"x": 8, "y": 10}, "feature_count": 3}
    assert second["dimensions"]["stride"] == {"x": 1, "y": 2}
    assert second["dimensions"]["padding"] == {"x": 3, "y": 0}
    assert first["destinations"] == [{"layer": 1, "enable": True, "pooling": 2}]
    assert (first["return_to_zero"], first["leak_enable"]) == (True, True)
    assert (second["return_to_zero"], second["leak_enable"]) == (False, False)
    assert second["threshold_low"] == -32768
    assert (first["monitor_enable"], second["monitor_enable"]) == (False, True)
    assert config["dvs_layer"]["origin"] == {"x": 0, "y": 1}
    assert config["dvs_layer"]["cut"] == {"x": 7, "y": 10}


def test_the_documented_loader_fills_the_vendors_objects(make_full, tmp_path, monkeypatch):
    """The code in the docstring, run on objects with the vendor's attributes."""
    lines = inspect.cleandoc(export.__doc__).split("\n")
    start = next(i for i, line in enumerate(lines) if "import json, samna" in line)
    end = next(i for i, line in enumerate(lines) if i > start and line[:1].strip())
    code = textwrap.dedent("\n".join(lines[start:end]))

    def layer():
        return SimpleNamespace(destinations=[SimpleNamespace() for _ in range(2)])

    board = SimpleNamespace(dvs_layer=layer(), cnn_layers=[layer() for _ in range(9)])
    made = SimpleNamespace(SpeckConfiguration=lambda: board)
    samna = SimpleNamespace(speck2f=SimpleNamespace(configuration=made))
    monkeypatch.setitem(sys.modules, "samna", samna)
    monkeypatch.chdir(tmp_path)
    spec = make_full()
    save(spec, "speck.json")
    exec(code, {})
    config = export(spec)
    for number in range(2):
        for name, value in config["cnn_layers"][str(number)].items():
            if name != "destinations":
                assert getattr(board.cnn_layers[number], name) == value
    sent = board.cnn_layers[0].destinations[0]
    assert (sent.layer, sent.enable, sent.pooling) == (1, True, 2)
    assert board.dvs_layer.pass_sensor_events is False
    assert board.dvs_layer.cut == {"x": 7, "y": 10}
    assert board.dvs_layer.destinations[0].layer == 0


def test_a_person_can_read_it(make_full, tmp_path):
    save(make_full(), tmp_path / "speck.json")
    lines = (tmp_path / "speck.json").read_text().splitlines()
    assert lines[1:4] == [
        '  "format": "snnjax-dynapcnn",',
        '  "version": 2,',
        '  "chip": "speck2f",',
    ]
    assert max(map(len, lines)) < 110


def test_truncated_anywhere(make_spec, tmp_path):
    path = tmp_path / "part.json"
    save(make_spec(), path)
    text = path.read_text().rstrip()
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        with pytest.raises(ValueError, match=r"part\.json is not JSON.*; export the network again"):
            load(path)


def fields_of(config, path=()):
    """The paths of all fields of nested dictionaries, and of the first entries of lists of them."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield (*path, name)
            yield from fields_of(value, (*path, name))
    elif isinstance(config, list) and config and isinstance(config[0], dict):
        yield from fields_of(config[0], (*path, 0))


def edited(config, path, value):
    """A copy of `config` with another value at a path; without what is there if it is `...`."""
    config = json.loads(json.dumps(config))
    *way, last = path
    at = config
    for step in way:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return config


JUNK = ["junk", -1, 1.5, float("nan"), 10**30, [], {}, [[1, 2], [3]], None, ...]
VALID = {
    "dvs_layer": [None],
    "max_spikes": [None],
    "path": ["junk"],
    "threshold_low": [-1],
    "absent": [[]],
}


def test_junk_in_any_field_is_refused(make_full):
    config = export(make_full())
    paths = [path for path in fields_of(config) if path[:2] != ("cnn_layers", "1")]
    assert len(paths) > 50
    for path in paths:
        for junk in JUNK:
            if not any(junk is valid or junk == valid for valid in VALID.get(path[-1], [])):
                with pytest.raises(ValueError, match="`"):
                    spec_of(edited(config, path, junk))


BROKEN = {
    "another format": (("format",), "nir", 'there is no `"format": "snnjax-dynapcnn"`'),
    "a newer version": (("version",), 3, "`version` is 3, and this snnjax reads 1, 2"),
    "a missing field": (("cnn_layers", "0", "biases"), ..., "`cnn_layers[0]` lacks biases"),
    "an extra field": (("snnjax", "tau"), 1, "`snnjax` has unknown tau"),
    "another chip": (("chip",), "loihi", "one of speck2e, speck2f, dynapcnn; got 'loihi'"),
    "a weight of the wrong kind": (
        ("cnn_layers", "0", "weights", 1, 0, 2, 2),
        1.0,
        "`cnn_layers[0].weights` must be lists of whole numbers of the shape (3, 2, 3, 3)",
    ),
    "a weight that does not fit": (
        ("cnn_layers", "0", "weights", 1, 0, 2, 1),
        300,
        "`layers[0].weight[1, 0, 1, 2]` (`layers[1]`) is 300; it must be from -128 to 127",
    ),
    "a bias that leaks": (
        ("cnn_layers", "1", "leak_enable"),
        True,
        "`cnn_layers[1].leak_enable` must be False, as its biases are",
    ),
    "a size": (
        ("cnn_layers", "0", "dimensions", "output_shape", "size", "x"),
        9,
        "`cnn_layers[0].neurons_initial_value` must be lists",
    ),
    "another core": (
        ("cnn_layers", "0", "destinations", 0, "layer"),
        5,
        "`cnn_layers[0].destinations[0].layer` is core 5, but the network is on the cores [0, 1]",
    ),
    "a destination that is off": (
        ("cnn_layers", "0", "destinations", 0, "enable"),
        False,
        "`cnn_layers[0].destinations[0].enable` must be true",
    ),
    "a pool that does not fit": (
        ("cnn_layers", "0", "destinations", 0, "pooling"),
        4,
        "`layers[1].input_shape` is (3, 5, 4), but layers[0] sends maps of (3, 2, 2)",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_say_what_is_wrong(make_full, tmp_path, name):
    path = tmp_path / "broken.json"
    at, value, message = BROKEN[name]
    path.write_text(json.dumps(edited(export(make_full()), at, value)))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert "export the network again" in str(error.value)


def test_fields_that_stand_twice_are_refused(make_full, tmp_path):
    path = tmp_path / "twice.json"
    save(make_full(), path)
    text = path.read_text()
    for field in ('"leak_enable": true', '"chip": "speck2f"', '"max_spikes": 4'):
        path.write_text(text.replace(field, f"{field}, {field}", 1))
        name = field.split('"')[1]
        with pytest.raises(ValueError, match=rf"twice\.json: `{name}` stands there twice"):
            load(path)


@pytest.mark.parametrize("name", ["bias", "min_vmem", "vmem"])
def test_what_is_absent_hides_nothing(make_spec, tmp_path, name):
    values = {"bias": [1, 0, -3], "min_vmem": -5, "vmem": np.ones((3, 10, 8), int)}
    config = export(make_spec(first=values))
    config["snnjax"]["layers"][0]["absent"] = [name]
    with pytest.raises(ValueError, match=rf"`absent` .* names {name}, but the file has values"):
        spec_of(config)
    config["snnjax"]["layers"][0]["absent"] = []
    spec_of(config)


@pytest.mark.parametrize("version", [True, 1.0, "2", None, 0, 3])
def test_versions_that_are_none(make_spec, version):
    with pytest.raises(ValueError, match="`version`"):
        spec_of(export(make_spec()) | {"version": version})


OLD = Path(__file__).parent.parent / "old" / "dynapcnn_v1.json"


def test_a_file_of_version_1_loads_to_the_same_integers(make_full):
    """It was written from `make_full` before version 2 was."""
    found = load(OLD)
    assert eqx.tree_equal(found, make_full())
    raster = np.random.default_rng(0).poisson(0.2, (4, *found.input_shape))
    assert [int(x.sum()) for x in simulate(found, raster).counts] == [244, 250]


def test_everything_that_version_2_added_comes_back(make_spec, tmp_path):
    sensor = dataclasses.replace(
        SENSOR,
        crop=None,
        size=(20, 16),
        polarity="on",
        killed=((3, 4), (0, 0)),
        noise_filter=NoiseFilter(size=(3, 5), period=700),
    )
    first = {"destinations": (Destination(1, 2, 0),)}
    spec = make_spec(first=first, sensor=sensor)
    save(spec, tmp_path / "spec.json")
    assert eqx.tree_equal(load(tmp_path / "spec.json"), spec)
    config = export(spec)
    assert (config["dvs_layer"]["on_channel"], config["dvs_layer"]["off_channel"]) == (True, False)
    assert config["snnjax"]["killed_pixels"] == [{"x": 0, "y": 0}, {"x": 4, "y": 3}]
    with pytest.raises(ValueError, match="nothing gets in"):
        spec_of(edited(config, ("dvs_layer", "on_channel"), False))


def test_channels_are_shifted_in_the_vendors_object(make_core, tmp_path):
    one, two = (
        make_core(i, n_in=1, n_out=2, core=i, destinations=(Destination(2, 1, 2 * i),))
        for i in range(2)
    )
    last = make_core(2, n_in=4, size=one.output_shape[1:], core=5)
    spec = Spec((one, two, last), inputs=(0, 1), chip=SPECK_2F)
    sent = [export(spec)["cnn_layers"][core]["destinations"] for core in "01"]
    plain = {"layer": 5, "enable": True, "pooling": 1}
    assert sent == [[plain], [plain | {"feature_shift": 2}]]
    save(spec, tmp_path / "spec.json")
    assert eqx.tree_equal(load(tmp_path / "spec.json"), spec)


def test_what_is_no_format(make_spec):
    with pytest.raises(ValueError, match="`format` must be one of samna; got 'nir'"):
        export(make_spec(), format="nir")


def test_what_is_no_file_with_text(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} is a directory; give the file"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        load(tmp_path / "none.json")


def test_what_could_not_be_loaded_is_not_saved(make_spec, replace, tmp_path):
    spec, path = make_spec(), tmp_path / "speck.json"
    with pytest.raises(ValueError, match="real numbers; make it integers"):
        save(jax.tree.map(lambda x: x.astype(jnp.float32), spec), path)
    with pytest.raises(ValueError, match=r"`layers\[0\].threshold` .* is 0"):
        save(replace(spec, 0, threshold=0), path)
    with pytest.raises(ValueError, match=r"`core` must be set; layers\[1\] .* has none"):
        save(replace(spec, 1, core=None), path)
    with pytest.raises(ValueError, match="padding is at most 7"):
        save(replace(spec, 1, padding=(9, 9)), path)
    custom = dataclasses.replace(SPECK_2F, max_classes=7)
    with pytest.raises(ValueError, match=r"`spec.chip` must be one of speck2e, .*max_classes=7"):
        save(dataclasses.replace(spec, chip=custom), path)
    assert not path.exists()
