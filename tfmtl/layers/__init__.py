"""Keras layers of multi-task ranking models; families are folders."""

from tfmtl.layers.bottom.apem_bottom import APEMBottom
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.interaction_bottom import InteractionBottom
from tfmtl.layers.bottom.pattern_selector import PatternSelector
from tfmtl.layers.bottom.soft_selection_bottom import SoftSelectionBottom
from tfmtl.layers.bottom.stem_bottom import STEMBottom
from tfmtl.layers.bottom.task_refinement import TaskRefinement
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.layers.embedding.piecewise_numbers import PiecewiseNumbers
from tfmtl.layers.experts.cross_expert import CrossExpert
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.experts.field_interaction_expert import FieldInteractionExpert
from tfmtl.layers.fields.bilinear_interaction import BilinearInteraction
from tfmtl.layers.fields.compressed_interaction import CompressedInteraction
from tfmtl.layers.fields.cross_network import CrossNetwork
from tfmtl.layers.fields.factorization_machine import FactorizationMachine
from tfmtl.layers.fields.group_transformer import GroupTransformer
from tfmtl.layers.fields.interacting_attention import InteractingAttention
from tfmtl.layers.fields.set_attention_block import SetAttentionBlock
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation
from tfmtl.layers.gates.soft_selection_gate import SoftSelectionGate
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.gates.virtual_gradient_gate import VirtualGradientGate
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.conversion_chain import ConversionChain
from tfmtl.layers.heads.information_transfer import InformationTransfer
from tfmtl.layers.heads.multiclass_head import MulticlassHead
from tfmtl.layers.heads.ordinal_head import OrdinalHead
from tfmtl.layers.heads.quantile_head import QuantileHead
from tfmtl.layers.heads.regression_head import RegressionHead
from tfmtl.layers.heads.survival_head import SurvivalHead
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.heads.zero_inflated_head import ZeroInflatedHead
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
from tfmtl.layers.sharing.cgc import CGC
from tfmtl.layers.sharing.heterogeneous import HeterogeneousExperts
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.layers.sharing.stem import STEM

__all__ = [
    "CGC",
    "PLE",
    "STEM",
    "APEMBottom",
    "BehaviorHypernetwork",
    "BilinearInteraction",
    "BinaryHead",
    "BottomLayer",
    "CompressedInteraction",
    "ConcatenationBottom",
    "ConditionalTransformerBlock",
    "ConversionChain",
    "CountedPooling",
    "CrossExpert",
    "CrossNetwork",
    "DTRNBottom",
    "EventPositions",
    "ExpertBank",
    "FactorizationMachine",
    "FeatureEmbedding",
    "FieldInteractionExpert",
    "GeneratedFactors",
    "GroupTransformer",
    "HashedAttention",
    "HeterogeneousExperts",
    "HyperSequenceEncoder",
    "InformationTransfer",
    "InteractingAttention",
    "InteractionBottom",
    "MMoE",
    "MaskedSelfAttention",
    "MeanPooling",
    "MulticlassHead",
    "OrdinalHead",
    "PairSequenceEncoder",
    "PatternSelector",
    "PiecewiseNumbers",
    "QuantileHead",
    "RegressionHead",
    "STEMBottom",
    "SetAttentionBlock",
    "SharedNetwork",
    "SharingLayer",
    "SingleTask",
    "SoftSelectionBottom",
    "SoftSelectionGate",
    "SoftmaxGate",
    "SqueezeExcitation",
    "StackedDense",
    "StackedMLP",
    "SurvivalHead",
    "TargetAttention",
    "TaskRefinement",
    "TowerBank",
    "VirtualGradientGate",
    "ZeroInflatedHead",
]
