"""Files of events as cameras and data sets have them, written by hand."""

import struct

import numpy as np

FIELDS = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]


def recording(n, shape=(2, 34, 34), *, seed=0, first=0, spread=40):
    """A structured array of n events, as tonic, aedat and expelliarmus give it."""
    rng = np.random.default_rng(seed)
    found = np.zeros(n, FIELDS)
    found["t"] = first + np.cumsum(rng.integers(0, spread, n))
    for name, size in zip("pyx", shape, strict=True):
        found[name] = rng.integers(0, size, n)
    return found


def write_aedat2(path, events):
    """Of a DVS128: address and time of each event, both in big-endian words."""
    address = (events["x"].astype(">u4") << 8) | (events["y"].astype(">u4") << 1) | events["p"]
    words = np.stack([address, events["t"]], 1).astype(">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n# made by a test\r\n" + words.tobytes())


def write_aedat3(path, events, *, per_packet=100):
    """Packets of polarity events, one of them no longer valid, and one of another kind."""
    content = [b"#!AER-DAT3.1\r\nFormat: RAW\r\n".replace(b"F", b"#F", 1), b"#!END-HEADER\r\n"]
    for start in range(0, len(events), per_packet):
        part = events[start : start + per_packet]
        data = 1 | (part["p"].astype("<u4") << 1)
        data |= (part["y"].astype("<u4") << 2) | (part["x"].astype("<u4") << 17)
        words = np.stack([data, part["t"]], 1).astype("<u4")
        words = np.concatenate([words, [[0, part["t"][-1]]]]).astype("<u4")
        content += [_packet(1, 8, len(words)), words.tobytes()]
    content += [_packet(3, 36, 2), bytes(72)]
    path.write_bytes(b"".join(content))


def _packet(kind, size, number):
    return struct.pack("<HHIIIIII", kind, 0, size, 4, 0, number, number, number)


def write_aedat4(path, events, *, size=(34, 34), per_packet=1000):
    """As DV writes it without compression: FlatBuffers of the header and of each packet."""
    node = f"""<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0">
    <attr key="typeIdentifier" type="string">EVTS</attr><node name="info">
    <attr key="sizeX" type="int">{size[1]}</attr><attr key="sizeY" type="int">{size[0]}</attr>
    </node></node></node></dv>"""
    text = node.encode() + b"\0"
    text += bytes(-len(text) % 4)
    # Root, identifier; the sizes and offsets of the table; the table: compression, end, text.
    header = struct.pack("<I4sHHHHHH", 20, b"IOHE", 10, 20, 16, 8, 4, 0)
    header += struct.pack("<iIqi", 12, 16, -1, 0) + struct.pack("<I", len(node)) + text
    content = [b"#!AER-DAT4.0\r\n", struct.pack("<I", len(header)), header]
    for start in range(0, len(events), per_packet):
        part = events[start : start + per_packet]
        rows = np.zeros(len(part), np.dtype([*FIELDS, ("pad", "V3")]))
        for name in "txyp":
            rows[name] = part[name]
        table = struct.pack("<I4sHHHH", 16, b"EVTS", 6, 8, 4, 0) + struct.pack("<iI", 8, 8)
        # The vector's length stands before its first event, which is aligned to 8 bytes.
        body = table + struct.pack("<II", 0, len(part)) + rows.tobytes()
        packet = struct.pack("<I", len(body)) + body
        content += [struct.pack("<II", 0, len(packet)), packet]
    path.write_bytes(b"".join(content))


def write_nmnist(path, events):
    """Five bytes an event: x, y, polarity and 23 bits of the time."""
    t = events["t"].astype(np.int64)
    rows = [events["x"], events["y"], (events["p"].astype(int) << 7) | (t >> 16), t >> 8, t]
    path.write_bytes((np.stack(rows, 1) & 255).astype(np.uint8).tobytes())


def write_shd(path, recordings, labels, names=("zero", "one")):
    """As the Spiking Heidelberg Digits: seconds in 16-bit floats, 700 units."""
    import h5py

    with h5py.File(path, "w") as file:
        file["labels"] = np.asarray(labels, np.uint16)
        for name, kind, at in (("times", np.float16, 0), ("units", np.uint16, 1)):
            of = file.create_dataset(
                f"spikes/{name}", (len(recordings),), dtype=h5py.vlen_dtype(kind)
            )
            for i, recording in enumerate(recordings):
                of[i] = np.asarray(recording[at], kind)
        file["extra/keys"] = np.array(names, "S")
        file["extra/speaker"] = np.zeros(len(labels), np.uint16)
