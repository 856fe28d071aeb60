"""Event data as published, from the command to integers on the chip."""

import pytest

from ..train.event_folders import write_gesture_folder, write_nmnist_folder, write_shd_folder
from ._commands import call, lines_of, settings, trained

pytest.importorskip("tonic")

RECIPES = {
    "shd": (write_shd_folder, {"hidden": "8", "time_constants": "2", "steps": 20}, "Xylo Audio 3"),
    "shd --set recurrent=true": (
        write_shd_folder,
        {"hidden": "8,8", "time_constants": "2,2", "steps": 20, "stages": "plan:1,chip:1"},
        "Xylo Audio 3",
    ),
    "nmnist": (write_nmnist_folder, {"channels": "2,3", "steps": 3}, "Speck 2f"),
    "dvs_gesture": (
        write_gesture_folder,
        {"channels": "2,3", "steps": 3, "size": 16, "dt": 0.1},
        "Speck 2f",
    ),
}


@pytest.mark.few(0, slow=3)
@pytest.mark.parametrize("name", RECIPES)
def test_from_published_files_to_integers_that_fit(name, tmp_path):
    write, small, chip = RECIPES[name]
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    options = settings(batch_size=4, **small)
    folder, output = trained(
        tmp_path / "run", *name.split(), "--data", tmp_path / "data", "--epochs", 2, *options
    )
    assert "integers, bit-exact simulator" in output
    assert len(lines_of(folder)) == 2
    checked = call("check", folder)
    assert checked.exit_code == 0, checked.output
    assert f"fits {chip}" in checked.output
    assert call("simulate", folder).exit_code == 0
