"""Recipes of the bottoms and their parts."""

from tests.conformance.recipes.inputs import BATCH, ENCODER, WIDTH, bottom_inputs, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.shared_bottom_representation import SharedBottomRepresentation
from tfmtl.layers.bottom.task_refinement import TaskRefinement

RECIPES = (
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3}),
    LayerRecipe(TaskRefinement, normal(BATCH, 3, 4, WIDTH), {"num_tasks": 3, "squeeze": "flatten", "gate": "identity"}),
    LayerRecipe(TaskRefinement, normal(BATCH, 1, 4, WIDTH), {"num_tasks": 3, "gate": "off"}),
    LayerRecipe(SharedBottomRepresentation, bottom_inputs(), {"pooling": "target"}),
    LayerRecipe(SharedBottomRepresentation, {"fields": bottom_inputs()["fields"]}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "num_layers": 2, "pooling": "target"}),
    LayerRecipe(DTRNBottom, bottom_inputs(), {"num_tasks": 3, "task_conditioned": False}),
    LayerRecipe(DTRNBottom, {"fields": bottom_inputs()["fields"]}, {"num_tasks": 3}),
)

ALTERNATIVES = {
    TaskRefinement: {"num_tasks": 2, "reduction": 1, "squeeze": "flatten", "gate": "sigmoid"},
    SharedBottomRepresentation: {"pooling": "mean"},
    DTRNBottom: {
        **ENCODER,
        "pooling": "mean",
        "task_conditioned": False,
        "reduction": 1,
        "squeeze": "flatten",
        "gate": "sigmoid",
    },
}
