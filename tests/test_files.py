"""A file is there as a whole, or as it was."""

import os
import subprocess
import sys

import pytest

from snnjax._files import write_whole


def test_it_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "one")
    write_whole(str(path), b"two")
    assert path.read_text() == "two"
    assert os.listdir(tmp_path) == ["a.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("one")
    link.symlink_to(target)
    write_whole(link, "two")
    assert link.is_symlink()
    assert target.read_text() == "two"


def test_a_device_is_written_to():
    write_whole(os.devnull, "lost")
    assert not os.path.isfile(os.devnull)


@pytest.mark.slow
def test_where_there_is_no_room_the_old_file_stays(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    code = f"""if True:
        import resource
        from snnjax._files import write_whole
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        write_whole({str(path)!r}, "x" * 100_000)"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"File too large" in ran.stderr
    assert os.listdir(tmp_path) == ["a.json"]
    assert path.read_text() == "old"


def test_a_failure_leaves_nothing_beside_it(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("disk")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk"):
        write_whole(tmp_path / "a.json", "x")
    assert not os.listdir(tmp_path)
