"""Recipes of the layers on the set of fields."""

from tests.conformance.recipes.inputs import BATCH, LENGTH, WIDTH, mask, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.fields.bilinear_interaction import BilinearInteraction
from tfmtl.layers.fields.compressed_interaction import CompressedInteraction
from tfmtl.layers.fields.cross_network import CrossNetwork
from tfmtl.layers.fields.factorization_machine import FactorizationMachine
from tfmtl.layers.fields.group_transformer import GroupTransformer
from tfmtl.layers.fields.interacting_attention import InteractingAttention
from tfmtl.layers.fields.set_attention_block import SetAttentionBlock
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation

FOUR_FIELDS = normal(BATCH, 4, WIDTH)
PADDED_FIELDS = {"fields": normal(BATCH, LENGTH, WIDTH), "field_mask": mask(5, 0, 1, 3, 2, 4)}
QUERIES_AND_KEYS = {"queries": normal(BATCH, 3, WIDTH, seed=1), "keys": normal(BATCH, LENGTH, WIDTH)}

RECIPES = (
    LayerRecipe(FactorizationMachine, FOUR_FIELDS),
    LayerRecipe(BilinearInteraction, FOUR_FIELDS),
    LayerRecipe(BilinearInteraction, FOUR_FIELDS, {"kind": "each"}),
    LayerRecipe(BilinearInteraction, FOUR_FIELDS, {"kind": "all"}),
    LayerRecipe(CompressedInteraction, FOUR_FIELDS, {"hidden_units": (6, 4, 3)}),
    LayerRecipe(CompressedInteraction, FOUR_FIELDS, {"hidden_units": (5, 3), "split_half": False}),
    LayerRecipe(InteractingAttention, FOUR_FIELDS, {"head_dim": 3}),
    LayerRecipe(InteractingAttention, FOUR_FIELDS, {"head_dim": 3, "num_heads": 1, "use_scaling": True}),
    LayerRecipe(CrossNetwork, normal(BATCH, 5)),
    LayerRecipe(CrossNetwork, normal(BATCH, 5), {"num_layers": 3, "rank": 2, "diag_scale": 0.5}),
    LayerRecipe(SetAttentionBlock, QUERIES_AND_KEYS),
    LayerRecipe(
        SetAttentionBlock,
        {**QUERIES_AND_KEYS, "queries": normal(1, 3, WIDTH, seed=1), "key_mask": PADDED_FIELDS["field_mask"]},
        {"use_layer_norm": True},
        unbatched_inputs=("queries",),
    ),
    LayerRecipe(SqueezeExcitation, FOUR_FIELDS),
    LayerRecipe(SqueezeExcitation, FOUR_FIELDS, {"reduction": 1, "gate": "relu", "axis": "channel", "use_bias": False}),
    LayerRecipe(GroupTransformer, {"fields": FOUR_FIELDS}, {"num_groups": 3}),
    LayerRecipe(GroupTransformer, PADDED_FIELDS, {"num_groups": 3, "num_blocks": 2, "se_axis": "field"}),
    LayerRecipe(GroupTransformer, PADDED_FIELDS, {"num_groups": 3, "num_blocks": 2, "se_axis": "channel"}),
    LayerRecipe(GroupTransformer, PADDED_FIELDS, {"num_groups": 3, "num_blocks": 2, "use_set_attention": False}),
    LayerRecipe(GroupTransformer, {"fields": FOUR_FIELDS}, {"num_groups": 2, "se_axis": "off"}),
)

ALTERNATIVES = {
    BilinearInteraction: {"kind": "each"},
    CompressedInteraction: {"hidden_units": (6, 4), "activation": "gelu", "split_half": False},
    InteractingAttention: {"head_dim": 2, "num_heads": 3, "use_scaling": True},
    CrossNetwork: {"num_layers": 1, "rank": 2, "diag_scale": 0.5},
    SetAttentionBlock: {"num_heads": 1, "use_layer_norm": True},
    SqueezeExcitation: {"reduction": 1, "gate": "relu", "axis": "channel", "use_bias": False},
    GroupTransformer: {
        "num_groups": 2,
        "num_heads": 1,
        "num_blocks": 2,
        "se_axis": "channel",
        "reduction": 1,
        "use_set_attention": False,
    },
}
