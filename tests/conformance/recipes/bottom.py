"""Recipes of the bottoms and their parts."""

from tests.conformance.recipes.inputs import BATCH, ENCODER, LENGTH, WIDTH, bottom_inputs, mask, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.bottom.apem_bottom import APEMBottom
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.interaction_bottom import InteractionBottom
from tfmtl.layers.bottom.pattern_selector import PatternSelector
from tfmtl.layers.bottom.soft_selection_bottom import SoftSelectionBottom
from tfmtl.layers.bottom.stem_bottom import STEMBottom
from tfmtl.layers.bottom.task_refinement import TaskRefinement

PATTERNS = {
    "fields": normal(BATCH, LENGTH, WIDTH),
    "groups": normal(BATCH, 2, WIDTH, seed=1),
    "field_mask": mask(5, 0, 1, 3, 2, 4),
}

RECIPES = (
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3}),
    LayerRecipe(TaskRefinement, normal(BATCH, 3, 4, WIDTH), {"num_tasks": 3, "squeeze": "flatten", "gate": "identity"}),
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3, "gate": "off"}),
    LayerRecipe(ConcatenationBottom, bottom_inputs(), {"pooling": "target"}),
    LayerRecipe(ConcatenationBottom, {"fields": bottom_inputs()["fields"]}),
    LayerRecipe(SoftSelectionBottom, bottom_inputs(), {"num_tasks": 3, "pooling": "target"}),
    LayerRecipe(
        SoftSelectionBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 3, "public_representation": True}
    ),
    LayerRecipe(
        DTRNBottom,
        bottom_inputs(),
        {
            "num_tasks": 3,
            "num_layers": 2,
            "pooling": "target",
            "conditioning": "adapter",
            "rank": 2,
            "task_dim": 2,
            "behavior_dim": 1,
        },
    ),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "conditioning": "low_rank", "rank": 2}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "encoder": "shared"}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "encoder": "independent"}),
    LayerRecipe(DTRNBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 3}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"pooling": "target"}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"interaction": "fm", "pooling": "target"}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"interaction": "cin", "num_layers": 1}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"interaction": "autoint"}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"interaction": "senet"}),
    LayerRecipe(InteractionBottom, bottom_inputs(), {"interaction": "fibinet", "pooling": "target"}),
    LayerRecipe(InteractionBottom, {"fields": bottom_inputs()["fields"]}),
    LayerRecipe(STEMBottom, bottom_inputs(), {"num_tasks": 3, "pooling": "target"}),
    LayerRecipe(STEMBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 1}),
    LayerRecipe(PatternSelector, PATTERNS, {"num_tasks": 3}),
    LayerRecipe(PatternSelector, PATTERNS, {"num_tasks": 3, "selection": "softmax"}),
    LayerRecipe(PatternSelector, {"fields": PATTERNS["fields"]}, {"num_tasks": 1, "use_groups": False}),
    LayerRecipe(
        PatternSelector,
        {"fields": PATTERNS["fields"], "groups": PATTERNS["groups"]},
        {"num_tasks": 3, "selection": "softmax", "adaptive": False},
    ),
    LayerRecipe(APEMBottom, bottom_inputs(), {"num_tasks": 3, "num_groups": 3, "reduction": 1, "pooling": "target"}),
    LayerRecipe(APEMBottom, bottom_inputs(), {"num_tasks": 3, "num_blocks": 2, "se_axis": "field"}),
    LayerRecipe(APEMBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 3, "use_set_attention": False}),
)

ALTERNATIVES = {
    STEMBottom: {"num_tasks": 1, "pooling": "mean"},
    TaskRefinement: {"num_tasks": 2, "reduction": 1, "squeeze": "flatten", "gate": "sigmoid"},
    ConcatenationBottom: {"pooling": "mean"},
    SoftSelectionBottom: {
        "num_tasks": 2,
        "num_heads": 1,
        "pooling": "mean",
        "private_attention": True,
        "public_representation": True,
    },
    DTRNBottom: {
        **ENCODER,
        "pooling": "mean",
        "encoder": "shared",
        "reduction": 1,
        "squeeze": "flatten",
        "gate": "sigmoid",
    },
    InteractionBottom: {"interaction": "fm", "pooling": "mean", "num_layers": 1},
    PatternSelector: {"num_tasks": 2, "adaptive": False, "selection": "softmax", "use_groups": False},
    APEMBottom: {
        "num_tasks": 2,
        "num_groups": 2,
        "num_heads": 1,
        "num_blocks": 2,
        "se_axis": "channel",
        "reduction": 2,
        "use_set_attention": False,
        "adaptive": False,
        "selection": "softmax",
        "pooling": "mean",
    },
}
