"""No step writes into another's folder, and each goes on writing into its own."""

from pathlib import Path

import pytest

from tfmtl.folders.step_folders import EXPORTED, PREPARED, TRAINED, check_output_folder

MARKS = {
    "manifest.json": PREPARED,
    "run.json": TRAINED,
    "saved_model.pb": EXPORTED,
    "3/saved_model.pb": EXPORTED,
}


@pytest.mark.parametrize("own", [PREPARED, TRAINED, EXPORTED])
@pytest.mark.parametrize("mark", MARKS)
def test_folders(tmp_path: Path, mark: str, own: str) -> None:
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    if MARKS[mark] == own:
        check_output_folder("step", "output", tmp_path, own)
        return
    with pytest.raises(ValueError) as caught:
        check_output_folder("step", "output", tmp_path, own)
    assert str(caught.value) == (
        f"step: `output` must be a separate folder, but it holds {MARKS[mark]}. Received: output='{tmp_path}'. "
        "Give another folder."
    )


@pytest.mark.parametrize("name", ["new", "", "mine"])
def test_other_folders_are_free(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine" / "notes").mkdir(parents=True)
    (tmp_path / "mine" / "notes" / "saved_model.pb").touch()
    check_output_folder("step", "output", tmp_path / name, TRAINED)
