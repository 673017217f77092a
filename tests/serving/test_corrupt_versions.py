"""Versions that are broken in every way a disk or a hasty copy breaks them, beside one that goes on serving."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.serving.shop_model import export_shop
from tfmtl.serving.server import model_registry
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.model_registry import ModelRegistry
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError

_NOBODY = 65534
PAYLOAD = {"payload": np.array([b"a"], object)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return export_shop(tmp_path_factory.mktemp("whole"), 1)


@pytest.fixture
def base_dir(whole, tmp_path):
    """Holds version 1, whole."""
    shutil.copytree(whole, tmp_path / "base" / "1")
    return tmp_path / "base"


@pytest.fixture
def registry(base_dir):
    registry = ModelRegistry(ModelConfig("shop", base_dir))
    registry.refresh()
    return registry


def data_file(version: Path) -> Path:
    return next((version / "variables").glob("variables.data-*"))


def cut_graph(version):
    path = version / "saved_model.pb"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_graph(version):
    (version / "saved_model.pb").write_bytes(b"")


def graph_is_a_folder(version):
    (version / "saved_model.pb").unlink()
    (version / "saved_model.pb").mkdir()


def no_graph(version):
    (version / "saved_model.pb").unlink()


def no_variables(version):
    shutil.rmtree(version / "variables")


def no_index(version):
    (version / "variables" / "variables.index").unlink()


def cut_index(version):
    path = version / "variables" / "variables.index"
    path.write_bytes(path.read_bytes()[:-20])


def half_copied_data(version):
    path = data_file(version)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def unwritten_data(version):
    """As a copy that reserves the space first."""
    path = data_file(version)
    path.write_bytes(bytes(path.stat().st_size))


def one_bit_of_data(version):
    data = bytearray(data_file(version).read_bytes())
    data[8] ^= 1
    data_file(version).write_bytes(data)


def no_vocabulary(version):
    (version / "assets" / "vocabulary.txt").unlink()


def empty_folder(version):
    shutil.rmtree(version)
    version.mkdir()


def link_to_itself_inside(version):
    (version / "saved_model.pb").unlink()
    (version / "saved_model.pb").symlink_to("saved_model.pb")
    (version / "loop").symlink_to(".")


def link_to_nowhere_inside(version):
    data_file(version).rename(version / "away")
    (version / "variables" / "variables.data-00000-of-00001").symlink_to("nowhere")


BREAKAGES = {
    cut_graph: ("UNKNOWN", "DecodeError"),
    empty_graph: ("FAILED_PRECONDITION", "holds no graph tagged 'serve'"),
    graph_is_a_folder: ("NOT_FOUND", "holds no saved_model.pb"),
    no_graph: ("NOT_FOUND", "holds no saved_model.pb"),
    no_variables: ("NOT_FOUND", "variables"),
    no_index: ("NOT_FOUND", "variables"),
    # TensorFlow raises these without a code of their own.
    cut_index: ("UNKNOWN", r"not an sstable .*base/2\)"),
    half_copied_data: ("UNKNOWN", r"Read less bytes than requested .*base/2\)"),
    unwritten_data: ("UNKNOWN", "(?i)checksum"),
    one_bit_of_data: ("DATA_LOSS", "(?i)checksum"),
    no_vocabulary: ("NOT_FOUND", "vocabulary.txt"),
    empty_folder: ("NOT_FOUND", "holds no saved_model.pb"),
    link_to_itself_inside: ("NOT_FOUND", "holds no saved_model.pb"),
    link_to_nowhere_inside: ("UNKNOWN", "variables.data-00000-of-00001; No such file"),
}


def check_broken(registry, code, message):
    """Version 2 is reported with the reason; version 1 answers."""
    (status,) = registry.statuses(2)
    assert (status.state, status.error_code) == ("END", code), status
    assert re.search(message, status.error_message), status
    assert registry.get().version == 1
    assert registry.get().predict("echo", PAYLOAD)["text_bytes"].tolist() == [b"a"]


@pytest.mark.parametrize("damage", BREAKAGES, ids=lambda damage: damage.__name__)
def test_the_old_version_serves_and_a_repaired_one_is_loaded(registry, base_dir, whole, damage):
    version = shutil.copytree(whole, base_dir / "2")
    damage(version)
    registry.refresh()
    check_broken(registry, *BREAKAGES[damage])
    shutil.rmtree(version)
    shutil.copytree(whole, version)
    registry.refresh()
    assert registry.get().version == 2
    assert registry.statuses(2)[0].error_code == "OK"


@pytest.fixture
def as_nobody(tmp_path):
    """Root may read everything, so the test is somebody else in the meantime."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    os.seteuid(_NOBODY)
    yield
    os.seteuid(0)


@pytest.mark.parametrize(
    ("locked", "code", "message"),
    [("", "PERMISSION_DENIED", "format.json"), ("saved_model.pb", "PERMISSION_DENIED", "saved_model.pb")],
    ids=["folder", "file"],
)
def test_a_version_that_may_not_be_read_is_loaded_once_it_may(
    registry, base_dir, whole, request, locked, code, message
):
    path = shutil.copytree(whole, base_dir / "2") / locked
    rights = path.stat().st_mode
    path.chmod(0)
    request.getfixturevalue("as_nobody")
    registry.refresh()
    check_broken(registry, code, message)
    if os.getuid() == 0:
        os.seteuid(0)
    path.chmod(rights)
    registry.refresh()
    assert registry.get().version == 2


def test_a_version_that_is_a_link_to_itself_is_none(registry, base_dir):
    (base_dir / "2").symlink_to("2")
    (base_dir / "3").symlink_to("nowhere")
    registry.refresh()
    assert [status.version for status in registry.statuses()] == [1]
    assert registry.get().version == 1


def test_a_version_may_be_a_link_and_is_loaded_when_its_target_appears(registry, base_dir, whole, tmp_path):
    (base_dir / "2").symlink_to(tmp_path / "store")
    registry.refresh()
    assert registry.get().version == 1
    shutil.copytree(whole, tmp_path / "store")
    registry.refresh()
    assert registry.get().version == 2


@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_version_that_disappears_while_it_is_loaded(registry, base_dir, whole, monkeypatch, moment):
    version = shutil.copytree(whole, base_dir / "2")

    def load(directory, number):
        if moment == "before":
            shutil.rmtree(version)
        else:
            shutil.rmtree(version / "variables")
        return ServedModel(directory, number)

    with monkeypatch.context() as patch:
        patch.setattr(model_registry, "ServedModel", load)
        registry.refresh()
    check_broken(registry, "NOT_FOUND", "saved_model.pb" if moment == "before" else "variables")
    shutil.rmtree(version, ignore_errors=True)
    registry.refresh()
    assert registry.get().version == 1
    shutil.copytree(whole, version)
    registry.refresh()
    assert registry.get().version == 2


def test_files_that_go_away_between_two_looks_are_no_error(base_dir, whole, monkeypatch):
    """The walk sees names whose files are gone when it asks for their sizes."""
    registry = ModelRegistry(ModelConfig("shop", base_dir))
    walk = os.walk

    def walk_with_ghost(directory):
        for folder, folders, names in walk(directory):
            yield folder, folders, [*names, "ghost"]

    monkeypatch.setattr(os, "walk", walk_with_ghost)
    registry.refresh()
    assert registry.get().version == 1


def test_what_is_loaded_does_not_need_its_files(registry, base_dir):
    shutil.rmtree(base_dir / "1" / "variables")
    shutil.rmtree(base_dir / "1" / "assets")
    (base_dir / "1" / "saved_model.pb").write_bytes(b"\xff")
    registry.refresh()
    assert registry.get().predict("echo", PAYLOAD)["text_bytes"].tolist() == [b"a"]
    features = {
        "viewed__item_id": np.array([[b"i1"]], object),
        "viewed__time": np.array([[1]]),
        "timestamp": np.array([1]),
        "item_id": np.array([b"i2"], object),
        "price": np.array([1.0], np.float32),
    }
    assert registry.get().predict("rank", features)["spent"].shape == (1,)
    shutil.rmtree(base_dir / "1")
    registry.refresh()
    with pytest.raises(ServingError, match="NOT_FOUND"):
        registry.get()
