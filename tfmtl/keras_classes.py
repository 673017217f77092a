"""Classes of the package that a Keras file may name, known to Keras before the modules that define them are loaded.

With it `import keras, tfmtl; keras.models.load_model(path)` finds them, though `import tfmtl` loads no TensorFlow.
"""

import importlib
import sys
from typing import Any

MODULES = {
    "tfmtl.layers": """
    APEMBottom BehaviorHypernetwork BilinearInteraction BinaryHead CGC CompressedInteraction ConcatenationBottom
    ConditionalTransformerBlock ConversionChain CountedPooling CrossExpert CrossNetwork DTRNBottom EventPositions
    ExpertBank FactorizationMachine FeatureEmbedding FieldInteractionExpert GeneratedFactors GroupTransformer
    HashedAttention HeterogeneousExperts HyperSequenceEncoder InformationTransfer InteractingAttention
    InteractionBottom MMoE MaskedSelfAttention MeanPooling MulticlassHead OrdinalHead PLE PairSequenceEncoder
    PatternSelector PiecewiseNumbers QuantileHead RegressionHead STEM STEMBottom SetAttentionBlock
    SharedNetwork SingleTask
    SoftSelectionBottom SoftSelectionGate SoftmaxGate SqueezeExcitation StackedDense StackedMLP SurvivalHead
    TargetAttention TaskRefinement TowerBank VirtualGradientGate ZeroInflatedHead
    """,
    "tfmtl.models": """
    ASAM Adagrad Adam AlignedMTL CAGrad DynamicWeightAverage FAMO FixedWeights Ftrl GeometricMean GradNorm GradVac IMTLG
    LazyAdam MGDA MultiTaskModel MultiTaskNetwork NashMTL PCGrad RandomWeights RowWiseAdagrad SAM SGD Split UPGrad
    UncertaintyWeights WarmUpDecay
    """,
    "tfmtl.metrics.histogram_auc": "HistogramAUC",
    "tfmtl.metrics.masked_mean": "MaskedMean",
    "tfmtl.metrics.masked_rmse": "MaskedRMSE",
    "tfmtl.operators": """
    ConvBranch HyperBranch InverseScale MLPBranch MLPTrunk MergedBranch OperatorNetwork PODTrunk
    PeriodicInitialCondition PeriodicTrunk RelativeL2 RelativeL2Loss Standardize StretchedCoordinate
    """,
}
"""Subpackage -> the classes that it registers."""


class NotLoadedYet:
    """Stands in Keras's registry for a class, and is replaced by it as soon as its module is imported.

    Args:
        module: str. The subpackage.
        name: str. The class.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """Imports the class and makes the object of a config."""
        importlib.import_module(self.module)
        saving: Any = sys.modules["keras"].saving
        return saving.get_custom_objects()[f"tfmtl>{self.name}"].from_config(config)


def tell_keras() -> None:
    """Enters the classes into Keras's registry if Keras has been imported; does nothing otherwise."""
    saving = getattr(sys.modules.get("keras"), "saving", None)
    if saving is None:
        return
    known = saving.get_custom_objects()
    for module, names in MODULES.items():
        for name in names.split():
            known.setdefault(f"tfmtl>{name}", NotLoadedYet(module, name))
