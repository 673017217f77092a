"""Recipes of the sequence layers."""

from tests.conformance.recipes.inputs import (
    BATCH,
    BEHAVIORS,
    ENCODER,
    LENGTH,
    TASKS,
    WIDTH,
    mask,
    normal,
    sequence_inputs,
)
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.sequence.behavior_hypernetwork import BehaviorHypernetwork
from tfmtl.layers.sequence.conditional_transformer_block import ConditionalTransformerBlock
from tfmtl.layers.sequence.counted_pooling import CountedPooling
from tfmtl.layers.sequence.event_positions import EventPositions
from tfmtl.layers.sequence.generated_factors import GeneratedFactors
from tfmtl.layers.sequence.hashed_attention import HashedAttention
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.masked_self_attention import MaskedSelfAttention
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder
from tfmtl.layers.sequence.target_attention import TargetAttention

_SITES = {"value": (WIDTH, WIDTH), "output": (WIDTH, WIDTH), "expansion": (WIDTH, 8), "contraction": (8, WIDTH)}

# Random weights of wide embeddings would generate matrices many times the size of the shared ones.
_SMALL = {"task_dim": 1, "behavior_dim": 1}

DELTAS = {
    f"{site}_{part}": normal(TASKS, BEHAVIORS, *shape)
    for site, (width, out) in _SITES.items()
    for part, shape in (("down", (width, 2)), ("up", (2, out)))
}

RECIPES = (
    LayerRecipe(EventPositions, sequence_inputs()),
    LayerRecipe(MeanPooling, sequence_inputs()),
    LayerRecipe(CountedPooling, sequence_inputs()),
    LayerRecipe(CountedPooling, sequence_inputs(), {"pooling": "target"}),
    # With a seed, so that a layer made twice hashes alike.
    LayerRecipe(HashedAttention, sequence_inputs(), {"num_hashes": 4, "num_bits": 2, "seed": 0}),
    LayerRecipe(HashedAttention, sequence_inputs(), {"num_hashes": 4, "normalization": "l2", "seed": 0}),
    LayerRecipe(TargetAttention, sequence_inputs(), {"hidden_units": (8, 4)}),
    LayerRecipe(TargetAttention, sequence_inputs(), {"hidden_units": (8,), "use_softmax": False}),
    LayerRecipe(
        MaskedSelfAttention,
        {"events": normal(BATCH, LENGTH, WIDTH), "event_mask": mask(5, 0, 1, 3, 2, 4)},
        {"num_heads": 2},
    ),
    LayerRecipe(
        BehaviorHypernetwork,
        normal(BATCH, 1),
        {"num_tasks": 3, "num_behaviors": 2, "num_sites": 2, "dim": 4},
        unbatched=True,
    ),
    LayerRecipe(
        ConditionalTransformerBlock,
        {
            "events": normal(BATCH, 1, BEHAVIORS, LENGTH, WIDTH),
            "event_mask": sequence_inputs()["event_mask"],
            "scale": 1.0 + normal(TASKS, BEHAVIORS, 2, WIDTH, seed=3),
            "shift": normal(TASKS, BEHAVIORS, 2, WIDTH, seed=4),
        },
        {"num_heads": 2, "feed_forward_multiplier": 2, "dropout": 0.1},
        unbatched_inputs=("scale", "shift"),
    ),
    LayerRecipe(
        ConditionalTransformerBlock,
        {
            "events": normal(BATCH, TASKS, BEHAVIORS, LENGTH, WIDTH),
            "event_mask": sequence_inputs()["event_mask"],
            "scale": 1.0 + normal(TASKS, BEHAVIORS, 2, WIDTH, seed=3),
            "shift": normal(TASKS, BEHAVIORS, 2, WIDTH, seed=4),
            **DELTAS,
        },
        {"num_heads": 2, "feed_forward_multiplier": 2},
        unbatched_inputs=("scale", "shift", *DELTAS),
    ),
    LayerRecipe(GeneratedFactors, normal(TASKS, BEHAVIORS, 3), {"rank": 2, "sites": ((4, 4), (4, 6))}, unbatched=True),
    LayerRecipe(
        HyperSequenceEncoder,
        sequence_inputs(),
        {"num_tasks": 3, "num_layers": 2, "dropout": 0.1, "conditioning": "low_rank", "rank": 1, **_SMALL},
    ),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "num_layers": 2, "dropout": 0.1}),
    LayerRecipe(
        HyperSequenceEncoder,
        sequence_inputs(),
        {"num_tasks": 3, "pooling": "target_count", "conditioning": "adapter", "rank": 2, "use_skip": True, **_SMALL},
    ),
    LayerRecipe(
        HyperSequenceEncoder,
        sequence_inputs(),
        {"num_tasks": 3, "pooling": "target", "conditioning": "low_rank", "rank": 1, **_SMALL},
    ),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "pooling": "target"}),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "task_dim": 0}),
    LayerRecipe(HyperSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "behavior_dim": 0, "use_skip": True}),
    LayerRecipe(PairSequenceEncoder, sequence_inputs(), {"num_tasks": 3, "num_layers": 2, "dropout": 0.1}),
    LayerRecipe(PairSequenceEncoder, sequence_inputs(), {"num_tasks": 2, "pooling": "target"}),
)

_CONDITIONS = ("task_dim", "behavior_dim", "hidden_dim", "conditioning", "rank")

ALTERNATIVES = {
    EventPositions: {"use_positions": False},
    TargetAttention: {"hidden_units": (8, 3), "activation": "gelu", "use_softmax": False},
    CountedPooling: {"pooling": "target"},
    HashedAttention: {"num_hashes": 5, "num_bits": 4, "normalization": "l2", "seed": 1},
    GeneratedFactors: {"rank": 3, "sites": ((4, 5),), "use_bias": True},
    MaskedSelfAttention: {"num_heads": 1},
    BehaviorHypernetwork: {
        "num_tasks": 2,
        "num_behaviors": 3,
        "num_sites": 1,
        "dim": 6,
        "task_dim": 3,
        "behavior_dim": 5,
        "hidden_dim": 7,
    },
    ConditionalTransformerBlock: {"num_heads": 1, "feed_forward_multiplier": 3, "dropout": 0.5},
    HyperSequenceEncoder: {**ENCODER, "pooling": "target"},
    PairSequenceEncoder: {
        **{argument: value for argument, value in ENCODER.items() if argument not in _CONDITIONS},
        "pooling": "target",
    },
}
