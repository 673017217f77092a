"""Loss weighting and gradient aggregation for several tasks: only the mathematics, from arrays to arrays.

A balancer turns the losses of a step, or the products of the tasks' gradients, into one weight per task.
"""

from typing import Any

import keras

from tfmtl.balancing.aligned_mtl import AlignedMTL
from tfmtl.balancing.balancer import Balancer
from tfmtl.balancing.cagrad import CAGrad
from tfmtl.balancing.dynamic_weight_average import DynamicWeightAverage
from tfmtl.balancing.famo import FAMO
from tfmtl.balancing.fixed_weights import FixedWeights
from tfmtl.balancing.geometric_mean import GeometricMean
from tfmtl.balancing.grad_norm import GradNorm
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.balancing.gradvac import GradVac
from tfmtl.balancing.imtlg import IMTLG
from tfmtl.balancing.mgda import MGDA
from tfmtl.balancing.nash_mtl import NashMTL
from tfmtl.balancing.pcgrad import PCGrad
from tfmtl.balancing.random_weights import RandomWeights
from tfmtl.balancing.uncertainty_weights import UncertaintyWeights
from tfmtl.balancing.upgrad import UPGrad
from tfmtl.schema.checks import check_one_of, error_text

__all__ = [
    "BALANCERS",
    "FAMO",
    "IMTLG",
    "MGDA",
    "AlignedMTL",
    "Balancer",
    "CAGrad",
    "DynamicWeightAverage",
    "FixedWeights",
    "GeometricMean",
    "GradNorm",
    "GradVac",
    "GradientAggregator",
    "NashMTL",
    "PCGrad",
    "RandomWeights",
    "UPGrad",
    "UncertaintyWeights",
    "get_balancer",
]

BALANCERS: dict[str, type[Balancer]] = {
    "fixed": FixedWeights,
    "uncertainty": UncertaintyWeights,
    "dwa": DynamicWeightAverage,
    "random": RandomWeights,
    "gradnorm": GradNorm,
    "geometric_mean": GeometricMean,
    "famo": FAMO,
    "pcgrad": PCGrad,
    "gradvac": GradVac,
    "cagrad": CAGrad,
    "mgda": MGDA,
    "imtl_g": IMTLG,
    "nash_mtl": NashMTL,
    "aligned_mtl": AlignedMTL,
    "upgrad": UPGrad,
}


def get_balancer(identifier: Any) -> Balancer:
    """Returns a balancer.

    Args:
        identifier: A name in `BALANCERS` for the method with its defaults, a `Balancer`, its serialized form (a dict,
            from `keras.saving.serialize_keras_object`), or `None` for `FixedWeights()`, the plain sum of the losses.

    Raises:
        ValueError: there is no method of that name.
        TypeError: `identifier` is none of these.
    """
    if identifier is None:
        return FixedWeights()
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Balancer):
        return identifier
    if isinstance(identifier, str):
        check_one_of("get_balancer", "identifier", identifier, list(BALANCERS))
        return BALANCERS[identifier]()
    rule, advice = "be a name, a Balancer or None", f"Use one of {list(BALANCERS)}."
    raise TypeError(error_text("get_balancer", "identifier", rule, identifier, advice))
