"""Keras layers of multi-task ranking models; families are folders."""

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

__all__ = [
    "BehaviourHypernetwork",
    "BinaryHead",
    "ConditionalTransformerBlock",
    "DTRNBottom",
    "ExpertBank",
    "FeatureEmbedding",
    "HyperSequenceEncoder",
    "MMoE",
    "MaskedSelfAttention",
    "MeanPooling",
    "RegressionHead",
    "SharedBottom",
    "SharedBottomRepresentation",
    "SingleTask",
    "SoftmaxGate",
    "StackedDense",
    "StackedMLP",
    "TargetAttention",
    "TaskRefinement",
    "TowerBank",
]
