"""The page about own layers: its code runs, passes the checks, and is found again by another process."""

import os
import re
import sys
from pathlib import Path

import pytest

import tfmtl
from tests.support.fresh_process import run_fresh
from tests.support.tiny_problem import tiny_inputs
from tfmtl.layers.user_layers import register_bottom, register_sharing
from tfmtl.models import MultiTaskModel, from_preset, load

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_layers.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """Holds `my_layers.py`, importable while the tests of this file run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_layers.py").write_text(BLOCKS[0])
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    del sys.modules["my_layers"]


def test_the_page_and_a_model_of_it_in_another_process(folder: Path) -> None:
    names: dict = {"tfmtl": tfmtl, "inputs": tiny_inputs(), "num_tasks": 3}
    for block in BLOCKS[1:]:
        exec(block, names)
    model: MultiTaskModel = names["model"]
    assert type(model.sharing).__name__ == "Adapters"
    model.build()
    model.save(folder / "model.keras")
    script = f"from tfmtl.models import load; print(type(load({str(folder / 'model.keras')!r}).sharing).__name__)"
    paths = f"{ROOT}{os.pathsep}{folder}"
    environment = {**os.environ, "PYTHONPATH": paths, "TFMTL_PLUGINS": "my_layers"}
    assert run_fresh("-c", script, env=environment).stdout.strip() == "Adapters"


def test_a_bottom_of_ones_own(folder: Path) -> None:
    @register_bottom("twice")
    class Twice(tfmtl.layers.ConcatenationBottom):
        def call(self, inputs):
            return 2 * super().call(inputs)

    model = from_preset("mmoe", tiny_inputs(), bottom="twice", num_experts=2, hidden_units=(4,), tower_units=(4,))
    assert isinstance(model.bottom, Twice)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("mmo", ValueError, r"dtrn: `sharing` must be one of \['single_task', .* Did you mean 'mmoe'\?"),
        ("no_such_module:A", ValueError, "must name a module that can be imported.*PYTHONPATH"),
        ("my_layers:Adapter", ValueError, "must name a class of 'my_layers'.*Did you mean 'Adapters'"),
        ("pathlib:Path", TypeError, "`sharing` must be a SharingLayer"),
        ("tfmtl.layers:HeterogeneousExperts", TypeError, "Give its other arguments defaults: .*field_dim"),
    ],
)
def test_names_that_lead_nowhere(folder: Path, name: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        from_preset("dtrn", tiny_inputs(), sharing=name)


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match=r"register_sharing: `name` must be a new one\. Received: name='mmoe'"):
        register_sharing("mmoe")(tfmtl.layers.MMoE)
    with pytest.raises(TypeError, match="register_bottom: `bottom` must be a BottomLayer"):
        register_bottom("mine")(tfmtl.layers.MMoE)
    with pytest.raises(ValueError, match="must have no colon"):
        register_sharing("my:name")(tfmtl.layers.MMoE)


def test_a_file_with_an_unknown_class_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise TypeError("Could not locate class 'Adapters'. Make sure")

    monkeypatch.setattr("keras.saving.load_model", refuse)
    (folder / "some.keras").touch()
    with pytest.raises(ValueError, match=r"holds a class that is not known\. .*TFMTL_PLUGINS"):
        load(folder / "some.keras")
