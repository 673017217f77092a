"""Inputs that the recipes share: small, seeded, more than one of everything."""

import numpy as np

from tfmtl.data.example_spec import encoded_signature
from tfmtl.schema import ModelInputs, Problem

TASKS, BEHAVIORS, LENGTH, WIDTH, FIELDS, BATCH = 3, 2, 5, 4, 3, 6


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded normal values, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mask(*lengths: int) -> np.ndarray:
    """`(len(lengths), LENGTH)`, true at the first so many positions of each row."""
    return np.arange(LENGTH) < np.array(lengths)[:, None]


def sequence_inputs() -> dict[str, np.ndarray]:
    """Behavior sequences of all lengths, from full to empty."""
    lengths = [5, 3, 0, 1, 2, 0, 4, 5, 1, 3, 5, 2]
    return {
        "events": normal(BATCH, BEHAVIORS, LENGTH, WIDTH),
        "event_mask": mask(*lengths).reshape(BATCH, BEHAVIORS, LENGTH),
        "queries": normal(BATCH, BEHAVIORS, WIDTH, seed=1),
    }


def bottom_inputs() -> dict[str, np.ndarray]:
    """Fields and behavior sequences, as the embedding gives them."""
    return {"fields": normal(BATCH, FIELDS, WIDTH, seed=2), **sequence_inputs()}


def model_inputs(age_dim: int = 4) -> ModelInputs:
    """A problem with every kind of feature, and a sequence with time gaps."""
    problem = Problem.from_dict(
        {
            "name": "toy",
            "keys": {"user": "user", "time": "time"},
            "features": [
                {"kind": "categorical", "name": "item", "dim": 4},
                {"kind": "categorical", "name": "tags", "dim": 2, "multi_valued": True, "max_values": 3},
                {"kind": "numeric", "name": "age", "transform": "quantiles", "dim": age_dim},
                {"kind": "numeric", "name": "price", "transform": "z_score"},
            ],
            "sequences": [
                {"name": "buys", "when": "buy == 1", "columns": ["item"], "max_length": 3, "time_gap_buckets": 2}
            ],
            "tasks": [{"kind": "binary", "name": "click", "label": "click"}],
        }
    )
    return ModelInputs(problem, dict.fromkeys(problem.tables, 6), {}, {})


def encoded_features() -> dict[str, np.ndarray]:
    """Ids from 0, missing, to 3, and scaled numbers, as `model_inputs` needs them."""
    generator = np.random.default_rng(0)
    features = {}
    for key, spec in encoded_signature(model_inputs().problem).items():
        shape = (BATCH, *spec.shape[1:])
        is_id = spec.dtype == "int32"
        features[key] = generator.integers(0, 4, size=shape).astype("int32") if is_id else normal(*shape)
    return features


SHARED = normal(BATCH, 1, 5)
PER_TASK = normal(BATCH, TASKS, 5)

NETWORK = {"hidden_units": (4, 3), "activation": "gelu", "dropout": 0.5}

ENCODER = {
    "num_tasks": 1,
    "num_layers": 1,
    "num_heads": 1,
    "feed_forward_multiplier": 3,
    "task_dim": 3,
    "behavior_dim": 5,
    "hidden_dim": 7,
    "use_positions": False,
    "use_skip": True,
    "dropout": 0.5,
    "conditioning": "norm",
    "rank": 3,
}
