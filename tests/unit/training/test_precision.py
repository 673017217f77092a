"""The number format of a run's products, and what a run in bfloat16 keeps in float32."""

import keras
import pytest

from tfmtl.training import TrainOptions
from tfmtl.training.precision import dtype_policy, layers_of


@pytest.mark.parametrize(
    ("flags", "policy"),
    [("fma avx512_bf16 amx_tile amx_bf16", "mixed_bfloat16"), ("fma avx512_bf16", "float32"), (None, "float32")],
)
def test_auto_is_bfloat16_where_the_processor_has_tiles_for_it(tmp_path, flags: str | None, policy: str) -> None:
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert dtype_policy("auto", path) == policy
    assert dtype_policy("off", path) == "float32"
    assert dtype_policy("bfloat16", path) == "mixed_bfloat16"


def test_the_policy_holds_within_and_not_after_an_error() -> None:
    before = keras.config.dtype_policy().name
    with pytest.raises(ZeroDivisionError), layers_of("mixed_bfloat16"):
        layer = keras.layers.Dense(2)
        raise ZeroDivisionError
    assert layer.compute_dtype == "bfloat16"
    assert layer.variable_dtype == "float32"
    assert keras.config.dtype_policy().name == before


def test_a_run_in_float32_is_the_run_it_was_before_the_option() -> None:
    options = TrainOptions().decisive_options()
    assert not {"mixed_precision", "dtype_policy"} & set(options)
    assert TrainOptions(mixed_precision="bfloat16").decisive_options() == {**options, "dtype_policy": "mixed_bfloat16"}
