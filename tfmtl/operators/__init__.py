"""Operator networks: one model for a family of equations and geometries, from functions to functions."""

from tfmtl.operators.branch.conv_branch import ConvBranch
from tfmtl.operators.branch.hyper_branch import HyperBranch
from tfmtl.operators.branch.merged_branch import MergedBranch
from tfmtl.operators.branch.mlp_branch import MLPBranch
from tfmtl.operators.export_operator import export_operator
from tfmtl.operators.initial_condition import PeriodicInitialCondition
from tfmtl.operators.inverse_scale import InverseScale
from tfmtl.operators.operator_data import OperatorData
from tfmtl.operators.operator_network import OperatorNetwork
from tfmtl.operators.refit_last_layer import refit_last_layer
from tfmtl.operators.relative_l2 import RelativeL2, RelativeL2Loss, frobenius_error, relative_l2_errors
from tfmtl.operators.standardize import Standardize
from tfmtl.operators.stretched_coordinate import StretchedCoordinate
from tfmtl.operators.transfer import named_weights, rehearse, train_only, weight_changes, weight_values
from tfmtl.operators.trunk.mlp_trunk import MLPTrunk
from tfmtl.operators.trunk.periodic_trunk import PeriodicTrunk
from tfmtl.operators.trunk.pod_trunk import PODTrunk

__all__ = [
    "ConvBranch",
    "HyperBranch",
    "InverseScale",
    "MLPBranch",
    "MLPTrunk",
    "MergedBranch",
    "OperatorData",
    "OperatorNetwork",
    "PODTrunk",
    "PeriodicInitialCondition",
    "PeriodicTrunk",
    "RelativeL2",
    "RelativeL2Loss",
    "Standardize",
    "StretchedCoordinate",
    "export_operator",
    "frobenius_error",
    "named_weights",
    "refit_last_layer",
    "rehearse",
    "relative_l2_errors",
    "train_only",
    "weight_changes",
    "weight_values",
]
