"""What a version took is given back when it ends, however it ends."""

import gc
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.serving.server_process import Resources
from tfmtl.serving.server import model_manager
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.model_manager import ModelManager
from tfmtl.serving.serving_error import ServingError

SWAPS = 20
TABLE_MB = 100
MAX_GROWTH_MB = 40  # less than half a table; a leak of the graphs alone would be ten times as much


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A large table, and a graph of as many operations as a real model's."""

    class Large(tf.Module):
        def __init__(self):
            self.table = tf.Variable(tf.random.normal([TABLE_MB * 2**20 // 64, 16]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="item")])
        def score(self, item):
            rows = tf.gather(self.table, item)
            for step in range(50):
                rows = tf.nn.relu(rows + float(step))
            return {"score": tf.reduce_sum(rows, axis=1)}

    module = Large()
    path = tmp_path_factory.mktemp("large") / "1"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.score.get_concrete_function()})
    return path


def put(exported, base_dir, version):
    """The files are shared, for a copy of each version would only take time."""
    shutil.copytree(exported, base_dir / f".{version}", copy_function=os.link)
    (base_dir / f".{version}").rename(base_dir / str(version))


def ask(models, name="large"):
    models.get(name).predict("serving_default", {"item": np.arange(5)})


@pytest.fixture(scope="module", autouse=True)
def only_new_objects_are_looked_at():
    """As in a server's own process, so that each swap does not walk through all of TensorFlow."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def megabytes_of_swaps(swap, swaps=8):
    """Resident memory after each swap."""
    sizes = []
    for version in range(2, swaps + 2):
        swap(version)
        sizes.append(Resources.of(os.getpid()).megabytes)
    return sizes


def check_level(sizes):
    assert max(sizes[2:]) < sizes[1] + MAX_GROWTH_MB, sizes


def followed(exported, base_dir):
    put(exported, base_dir, 1)
    models = ModelManager([ModelConfig("large", base_dir)])
    models.start()
    ask(models)

    def swap(version):
        put(exported, base_dir, version)
        shutil.rmtree(base_dir / str(version - 1))
        models.refresh()
        ask(models)

    return swap


def test_memory_is_level_over_versions_that_come_and_go(exported, tmp_path):
    check_level(megabytes_of_swaps(followed(exported, tmp_path), SWAPS))


def test_memory_is_level_over_configurations_that_are_exchanged(exported, tmp_path):
    """Another name, another folder, and the same model in another version, in turn."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        put(exported, tmp_path / folder, 1)
        put(exported, tmp_path / folder, 2)
    models = ModelManager([ModelConfig("large", tmp_path / "a", versions=(1,))])
    models.start()
    ask(models)

    def swap(number):
        name = ("large", "other")[number // 4 % 2]
        models.reload([ModelConfig(name, tmp_path / "ab"[number // 2 % 2], versions=(1 + number % 2,))])
        models.refresh()
        ask(models, name)

    check_level(megabytes_of_swaps(swap))


def test_memory_is_level_over_configurations_that_are_refused(exported, tmp_path):
    put(exported, tmp_path, 1)
    (tmp_path / "empty").mkdir()
    models = ModelManager([ModelConfig("large", tmp_path)])
    models.start()

    def fail(_):
        with pytest.raises(ServingError, match="no version"):
            models.reload([ModelConfig("second", tmp_path), ModelConfig("empty", tmp_path / "empty")])
        models.refresh()

    check_level(megabytes_of_swaps(fail))


def test_the_measure_sees_models_that_are_not_freed(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(model_manager, "free_dropped_models", lambda: None)
    gc.disable()
    try:
        swap, before = followed(exported, tmp_path), Resources.of(os.getpid()).megabytes
        for version in range(2, 5):
            swap(version)
        assert Resources.of(os.getpid()).megabytes > before + 2 * TABLE_MB
    finally:
        gc.enable()
        gc.collect()
