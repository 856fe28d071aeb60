"""What is saved is loaded again, and nothing else is."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from snnjax import SynNet
from snnjax.hardware.xylo import (
    CHIPS,
    FORMATS,
    XYLO_1,
    XYLO_AUDIO_2,
    XYLO_AUDIO_3,
    XYLO_IMU,
    Part,
    export,
    from_json,
    load,
    map_network,
    quantize,
    save,
    to_json,
)


@pytest.fixture
def make_full(make_spec):
    """`make_spec`, with everything in it that is optional."""
    optional = {
        "bias": np.arange(-3, 3),
        "bias_out": [-32768, 32767],
        "aliases": [2, -1, 4, -1, -1, -1],
        "weight_shift_in": 1,
        "weight_shift_rec": 2,
        "weight_shift_out": 3,
    }
    return lambda **fields: make_spec(**(optional | {"dt": 0.1 / 3} | fields))


@pytest.mark.few(3)
@pytest.mark.parametrize("chip", CHIPS)
def test_round_trip(make_spec, tmp_path, chip):
    synapses = CHIPS[chip].n_synapses
    spec = make_spec(n_synapses=synapses, chip=CHIPS[chip], dt=1e-3)
    save(spec, tmp_path / "xylo.json")
    loaded = load(str(tmp_path / "xylo.json"))
    assert eqx.tree_equal(spec, loaded)
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(loaded))


def test_round_trip_of_everything_optional(make_full):
    spec = make_full()
    assert eqx.tree_equal(spec, from_json(to_json(spec)))


def test_a_person_can_read_it(make_full):
    spec = make_full(n_hidden=40, n_synapses=1, aliases=None, bias=None)
    lines = to_json(spec).splitlines()
    assert lines[1:5] == [
        '  "format": "snnjax-xylo",',
        '  "version": 2,',
        '  "chip": "audio2",',
        f'  "dt": {0.1 / 3!r},',
    ]
    assert '  "threshold_out": ' + str(spec.threshold_out.tolist()) in "".join(lines)
    row = ", ".join(map(str, spec.w_rec[1, :, 0].tolist()))
    assert lines[lines.index('  "w_rec": [') + 3] == f"      [{row}],"


def test_one_changed_weight_changes_one_line(make_full):
    spec = make_full()
    other = eqx.tree_at(lambda s: s.w_rec, spec, spec.w_rec.at[3, 2, 1].add(-1))
    lines, others = to_json(spec).splitlines(), to_json(other).splitlines()
    assert sum(a != b for a, b in zip(lines, others, strict=True)) == 1


def test_truncated_anywhere(make_full, tmp_path):
    text = to_json(make_full()).rstrip()
    for length in range(len(text)):
        with pytest.raises(ValueError, match="is not JSON, or only a part of it"):
            from_json(text[:length])
    path = tmp_path / "part.json"
    path.write_text(text[:1000])
    with pytest.raises(ValueError, match=r"part\.json is not JSON.*; export the network again"):
        load(path)


@pytest.mark.slow
@given(st.text() | st.integers().map(str) | st.sampled_from(["[" * 100_000, "1" * 5000, "NaN"]))
def test_foreign_text(text):
    with pytest.raises(ValueError, match="the text"):
        from_json(text)


JUNK = [None, True, "junk", -1, 1.5, float("nan"), 10**30, [], {}, [[1, 2], [3]]]
VALID = {"layers": [[]], "bias": [None], "bias_out": [None], "aliases": [None], "dt": [1.5, 10**30]}


def test_junk_in_any_field(make_full):
    fields = json.loads(to_json(make_full()))
    for name in fields:
        for junk in JUNK:
            if junk not in VALID.get(name, []):
                with pytest.raises(ValueError, match=f"(?s)here: .*{name.removeprefix('n_')}"):
                    from_json(json.dumps(fields | {name: junk}), source="here")


JUNK_NUMBERS = [True, None, "1", 1.0, float("nan"), [1], 2**31, -(10**30)]


@pytest.mark.parametrize("junk", JUNK_NUMBERS, ids=repr)
def test_junk_among_the_numbers(make_full, junk):
    fields = json.loads(to_json(make_full()))
    fields["w_rec"][1][2][3] = junk
    with pytest.raises(ValueError, match=r"`w_rec` must be lists of whole numbers, \(2, 6, 6\)"):
        from_json(json.dumps(fields))


def edited(**changes):
    return lambda fields: fields | changes


def without(name):
    return lambda fields: {k: v for k, v in fields.items() if k != name}


BROKEN = {
    "another format": (edited(format="nir"), 'there is no `"format": "snnjax-xylo"`'),
    "no format": (without("format"), 'there is no `"format": "snnjax-xylo"`'),
    "a list": (lambda fields: [fields], 'there is no `"format": "snnjax-xylo"`'),
    "a newer version": (edited(version=3), "`version` is 3, and this snnjax reads 1, 2"),
    "no version": (
        without("version"),
        "`version` must be a whole number",
    ),
    "a missing field": (without("dash_mem"), "`the network` lacks dash_mem"),
    "an extra field": (edited(tau=1), "`the network` has unknown tau"),
    "both": (lambda fields: without("dt")(fields | {"tau": 1}), "lacks dt and has unknown tau"),
    "another chip": (edited(chip="loihi"), "one of xylo1, audio2, audio3, imu; got 'loihi'"),
    "a size": (edited(n_inputs=4), "(synapses, inputs, hidden); got a list of 3 for a list of 4"),
    "no neurons": (edited(n_outputs=0), "got a list of 2 for a list of 0"),
    "a threshold": (edited(threshold_out=[1, 40000]), "`threshold_out[1]` is 40000; must be from"),
    "an alias": (edited(aliases=[6] * 6), "`aliases[0]` is 6; must be from -1 to 5 (and 5 more)"),
    "a shift": (edited(weight_shift_in=16), "`weight_shift_in` is 16; must be from 0 to 15"),
    "biases for a chip without": (edited(chip="xylo1"), "`bias` reaches 3, but Xylo 1"),
    "a step of no time": (edited(dt=0), "`dt` must be a number of seconds above 0"),
}


@pytest.mark.parametrize(("edit", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_say_what_is_wrong(make_full, tmp_path, edit, message):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(edit(json.loads(to_json(make_full())))))
    with pytest.raises(ValueError, match="export the network again") as error:
        load(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))


def test_what_is_no_file_with_text(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} is a directory; give the file"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        load(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ValueError, match=r"binary\.json is not a text file"):
        load(tmp_path / "binary.json")


def test_what_could_not_be_loaded_is_not_saved(make_spec, tmp_path):
    spec, path = make_spec(), tmp_path / "xylo.json"
    real = eqx.tree_at(lambda s: s.w_in, spec, spec.w_in.astype(jnp.float32))
    with pytest.raises(ValueError, match="real numbers; make it integers"):
        save(real, path)
    with pytest.raises(ValueError, match=r"`threshold\[0\]` is 0"):
        save(make_spec(threshold=[0] * 6), path)
    custom = dataclasses.replace(XYLO_AUDIO_2, n_hidden=7)
    with pytest.raises(ValueError, match=r"`spec.chip` must be one of xylo1, .*n_hidden=7"):
        save(make_spec(chip=custom), path)
    assert not path.exists()


def test_rockpools_arguments(make_full):
    spec = make_full()
    arguments = export(spec, format="rockpool-simulator")
    same = {"w_in": "weights_in", "w_rec": "weights_rec", "w_out": "weights_out"}
    for name in ("dash_mem", "dash_mem_out", "dash_syn_out", "threshold", "threshold_out", "bias"):
        same[name] = name
    for ours, theirs in same.items():
        np.testing.assert_array_equal(arguments[theirs], getattr(spec, ours))
        assert isinstance(arguments[theirs], np.ndarray)
    np.testing.assert_array_equal(arguments["dash_syn"], spec.dash_syn[:, 0])
    np.testing.assert_array_equal(arguments["dash_syn_2"], spec.dash_syn[:, 1])
    assert arguments["aliases"] == [[2], [], [4], [], [], []]
    assert [arguments[f"weight_shift_{x}"] for x in ("in", "rec", "out")] == [1, 2, 3]
    assert arguments["dt"] == spec.dt
    np.testing.assert_array_equal(export(spec, format="rockpool-board")["bias_hidden"], spec.bias)
    assert "bias" not in export(spec, format="rockpool-board")


def test_rockpools_arguments_for_other_chips(make_full):
    imu = export(
        make_full(n_synapses=1, bias=None, aliases=None, chip=XYLO_IMU),
        format="rockpool-simulator",
    )
    assert imu["dash_syn_2"] is imu["bias"] is imu["aliases"] is None
    xylo1 = export(make_full(bias=None, bias_out=None, chip=XYLO_1))
    assert not {"bias", "bias_hidden", "bias_out"} & set(xylo1)


@pytest.mark.few(1)
@pytest.mark.parametrize("chip", ["audio2", "audio3", "imu"])
def test_the_weights_for_a_board_end_with_the_neurons_in_use(chip):
    """Rockpool 3.1 warns of more than 128 rows and drops the others, in use or not."""
    model = SynNet(4, 8, (100, 100), (1, 1), key=jax.random.key(0))
    spec = quantize(map_network(model, chip=chip))
    board, simulator = (export(spec, format=f"rockpool-{x}") for x in ("board", "simulator"))
    assert simulator["weights_in"].shape == (8, 200, 1)
    assert simulator["weights_out"].shape == (200, 4)
    trimmed = (100, 100) if CHIPS[chip].max_input_neurons else (200, 200)
    assert (board["weights_in"].shape[1], len(board["weights_out"])) == trimmed
    np.testing.assert_array_equal(board["weights_in"], spec.w_in[:, : trimmed[0]])
    np.testing.assert_array_equal(board["weights_out"], spec.w_out[-trimmed[1] :])
    assert board["weights_rec"].shape == (200, 200, 1)


def test_nothing_in_use_leaves_one_row(make_spec):
    spec = make_spec(w_in=np.zeros((3, 6, 2), int), w_out=np.zeros((6, 2), int), chip=XYLO_AUDIO_3)
    board = export(spec, format="rockpool-board")
    assert (board["weights_in"].shape, board["weights_out"].shape) == ((3, 1, 2), (1, 2))


def test_formats(make_spec):
    assert export(make_spec(), format="json") == to_json(make_spec())
    assert list(FORMATS) == ["rockpool-board", "rockpool-simulator", "json"]
    assert "bias_hidden" in export(make_spec())


def test_a_field_that_stands_there_twice_or_a_version_that_is_no_number(make_full):
    text = to_json(make_full())
    twice = text.replace('"weight_shift_in": 1', '"weight_shift_in": 1, "weight_shift_in": 2')
    with pytest.raises(ValueError, match="here: `weight_shift_in` stands there twice"):
        from_json(twice, source="here")
    with pytest.raises(ValueError, match="`version` must be a whole number"):
        from_json(text.replace('"version": 2', '"version": true'))


def test_the_names_of_layers_are_saved(make_spec):
    layers = (Part("layers[1]", 4), Part("layers[3]", 2), Part("layers[5]", 2))
    spec = make_spec(layers=layers)
    assert eqx.tree_equal(from_json(to_json(spec)), spec)
    assert from_json(to_json(spec)).layers == layers
    with pytest.raises(ValueError, match="`layers` must add up to the 6 hidden and 2 output"):
        make_spec(layers=layers[1:])


def test_rockpool_gets_nothing_that_does_not_fit(make_spec):
    with pytest.raises(ValueError, match="`n_synapses` is 2, but Xylo IMU"):
        export(make_spec(chip=XYLO_IMU))
    with pytest.raises(ValueError, match=r"`format` must be one of rockpool-board, .*; got 'chip'"):
        export(make_spec(), format="chip")
