"""The reader of IDX files and of MNIST."""

import gzip

import numpy as np
import pytest

from snnjax.datasets import load_mnist, read_idx


def idx(array, kind=8):
    axes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, kind, array.ndim]) + axes + array.tobytes()


def write(folder, images, labels, part="train", packed=False):
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        raw, path = idx(array), folder / f"{part}-{name}-ubyte"
        if packed:
            path, raw = path.with_name(f"{path.name}.gz"), gzip.compress(raw)
        path.write_bytes(raw)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (0, 3)])
def test_an_array_is_read_as_it_was_written(shape, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / "array-ubyte"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path), array)
    assert read_idx(str(path)).dtype == np.uint8


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("part", ["train", "t10k"])
def test_images_and_labels_are_read_together(part, packed, tmp_path):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (5, 28, 28)).astype(np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    write(tmp_path, images, labels, part, packed)
    found = load_mnist(tmp_path, part)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither train-images-idx3-ubyte nor"):
        load_mnist(tmp_path)


def test_a_part_that_there_is_not_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="`part` must be one of 'train', 't10k'; got 'test'"):
        load_mnist(tmp_path, "test")


def test_images_and_labels_that_do_not_belong_together_are_an_error(tmp_path):
    write(tmp_path, np.zeros((5, 28, 28), np.uint8), np.zeros(4, np.uint8))
    with pytest.raises(
        ValueError, match=r"images of shape \(5, 28, 28\) and labels of shape \(4,\)"
    ):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is no IDX file of bytes"),
        (b"PK\x03\x04 and more", "is no IDX file of bytes"),
        (idx(np.zeros((2, 2), np.uint8), kind=0x0D), "is no IDX file of bytes"),
        (
            idx(np.zeros((2, 3), np.uint8))[:-1],
            r"should hold 18 bytes for the shape \(2, 3\), but has 17",
        ),
        (
            idx(np.zeros((2, 3), np.uint8))[:12],
            r"should hold 18 bytes for the shape \(2, 3\), but has 12",
        ),
        (idx(np.zeros((2, 3), np.uint8))[:9], "but has 9"),
        (idx(np.zeros((2, 3), np.uint8))[:4], "but has 4"),
    ],
)
def test_a_file_of_another_kind_or_cut_short_is_an_error(raw, message, tmp_path):
    path = tmp_path / "file-ubyte"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        read_idx(path)
