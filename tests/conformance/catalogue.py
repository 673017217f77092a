"""One recipe or more for every public layer, and for every argument a value other than the first recipe's."""

import numpy as np

from tests.support.layer_checks import LayerRecipe
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.shared_bottom_representation import SharedBottomRepresentation
from tfmtl.layers.bottom.task_refinement import TaskRefinement
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.regression_head import RegressionHead
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.sequence.behaviour_hypernetwork import BehaviourHypernetwork
from tfmtl.layers.sequence.conditional_transformer_block import ConditionalTransformerBlock
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.masked_self_attention import MaskedSelfAttention
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.target_attention import TargetAttention
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.shared_bottom import SharedBottom
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.schema import ModelInputs, Problem

TASKS, BEHAVIOURS, LENGTH, WIDTH, FIELDS, BATCH = 3, 2, 5, 4, 3, 6


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded normal values, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mask(*lengths: int) -> np.ndarray:
    """`(len(lengths), LENGTH)`, true at the first so many positions of each row."""
    return np.arange(LENGTH) < np.array(lengths)[:, None]


def sequence_inputs() -> dict[str, np.ndarray]:
    """Behaviour sequences of all lengths, from full to empty."""
    lengths = [5, 3, 0, 1, 2, 0, 4, 5, 1, 3, 5, 2]
    return {
        "events": normal(BATCH, BEHAVIOURS, LENGTH, WIDTH),
        "event_mask": mask(*lengths).reshape(BATCH, BEHAVIOURS, LENGTH),
        "queries": normal(BATCH, BEHAVIOURS, WIDTH, seed=1),
    }


def bottom_inputs() -> dict[str, np.ndarray]:
    """Fields and behaviour sequences, as the embedding gives them."""
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

RECIPES = (
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs()}),
    LayerRecipe(StackedDense, SHARED, {"num_stacks": 3, "units": 2, "activation": "tanh"}),
    LayerRecipe(StackedDense, PER_TASK, {"num_stacks": 3, "units": 2, "use_bias": False}),
    LayerRecipe(StackedMLP, SHARED, {"num_stacks": 3, "hidden_units": (4, 2), "dropout": 0.1}),
    LayerRecipe(StackedMLP, PER_TASK, {"num_stacks": 3, "hidden_units": (4, 2), "activation": "gelu"}),
    LayerRecipe(MeanPooling, sequence_inputs()),
    LayerRecipe(TargetAttention, sequence_inputs(), {"hidden_units": (8, 4)}),
    LayerRecipe(TargetAttention, sequence_inputs(), {"hidden_units": (8,), "use_softmax": False}),
    LayerRecipe(
        MaskedSelfAttention,
        {"events": normal(BATCH, LENGTH, WIDTH), "event_mask": mask(5, 0, 1, 3, 2, 4)},
        {"num_heads": 2},
    ),
    LayerRecipe(
        BehaviourHypernetwork,
        normal(BATCH, 1),
        {"num_tasks": 3, "num_behaviours": 2, "num_sites": 2, "dim": 4},
        unbatched=True,
    ),
    LayerRecipe(
        ConditionalTransformerBlock,
        {
            "events": normal(BATCH, 1, BEHAVIOURS, LENGTH, WIDTH),
            "event_mask": sequence_inputs()["event_mask"],
            "scale": 1.0 + normal(TASKS, BEHAVIOURS, 2, WIDTH, seed=3),
            "shift": normal(TASKS, BEHAVIOURS, 2, WIDTH, seed=4),
        },
        {"num_heads": 2, "feed_forward_multiplier": 2, "dropout": 0.1},
        unbatched_inputs=("scale", "shift"),
    ),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "num_layers": 2, "dropout": 0.1}),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "pooling": "target"}),
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3}),
    LayerRecipe(TaskRefinement, normal(BATCH, 3, 4, WIDTH), {"num_tasks": 3, "squeeze": "flatten", "gate": "identity"}),
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3, "gate": "off"}),
    LayerRecipe(SharedBottomRepresentation, bottom_inputs(), {"pooling": "target"}),
    LayerRecipe(SharedBottomRepresentation, {"fields": bottom_inputs()["fields"]}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "num_layers": 2, "pooling": "target"}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "task_conditioned": False}),
    LayerRecipe(DTRNBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 3}),
    LayerRecipe(ExpertBank, SHARED, {"num_experts": 4, "hidden_units": (4, 2), "dropout": 0.1}),
    LayerRecipe(ExpertBank, PER_TASK, {"num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(SoftmaxGate, SHARED, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SoftmaxGate, PER_TASK, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SingleTask, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SingleTask, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedBottom, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedBottom, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, SHARED, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, PER_TASK, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(TowerBank, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(BinaryHead, normal(BATCH, 5), {"prior": 0.2}, output_dtype="float32"),
    LayerRecipe(RegressionHead, normal(BATCH, 5), {"mean": 3.0, "standard_deviation": 2.0}, output_dtype="float32"),
)

_NETWORK = {"hidden_units": (4, 3), "activation": "gelu", "dropout": 0.5}
_ENCODER = {
    "num_tasks": 1,
    "num_layers": 1,
    "num_heads": 1,
    "feed_forward_multiplier": 3,
    "task_dim": 3,
    "behaviour_dim": 5,
    "hidden_dim": 7,
    "use_positions": False,
    "dropout": 0.5,
}

ALTERNATIVES = {
    FeatureEmbedding: {"inputs": model_inputs(age_dim=8), "dim": 5},
    StackedDense: {
        "num_stacks": 2,
        "units": 3,
        "activation": None,
        "use_bias": False,
        "kernel_initializer": "he_normal",
    },
    StackedMLP: {"num_stacks": 2, **_NETWORK},
    TargetAttention: {"hidden_units": (8, 3), "activation": "gelu", "use_softmax": False},
    MaskedSelfAttention: {"num_heads": 1},
    BehaviourHypernetwork: {
        "num_tasks": 2,
        "num_behaviours": 3,
        "num_sites": 1,
        "dim": 6,
        "task_dim": 3,
        "behaviour_dim": 5,
        "hidden_dim": 7,
    },
    ConditionalTransformerBlock: {"num_heads": 1, "feed_forward_multiplier": 3, "dropout": 0.5},
    HyperSequenceEncoder: {**_ENCODER, "pooling": "target"},
    TaskRefinement: {"num_tasks": 2, "reduction": 1, "squeeze": "flatten", "gate": "sigmoid"},
    SharedBottomRepresentation: {"pooling": "mean"},
    DTRNBottom: {
        **_ENCODER,
        "pooling": "mean",
        "task_conditioned": False,
        "reduction": 1,
        "squeeze": "flatten",
        "gate": "sigmoid",
    },
    ExpertBank: {"num_experts": 3, **_NETWORK},
    SoftmaxGate: {"num_tasks": 2, "num_experts": 3},
    SingleTask: {"num_tasks": 2, **_NETWORK},
    SharedBottom: {"num_tasks": 2, **_NETWORK},
    MMoE: {"num_tasks": 2, "num_experts": 3, **_NETWORK},
    # Its inputs have to have as many tasks as it has towers, hence a recipe in place of the value.
    TowerBank: {
        "num_tasks": LayerRecipe(TowerBank, PER_TASK[:, :2], {"num_tasks": 2, "hidden_units": (4, 2)}),
        **_NETWORK,
    },
    BinaryHead: {"prior": 0.3},
    RegressionHead: {"mean": 4.0, "standard_deviation": 3.0},
}
