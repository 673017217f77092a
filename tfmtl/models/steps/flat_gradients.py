"""Sharpness-aware minimization: the gradient at the point nearby where the sum of the losses is largest."""

from collections.abc import Callable
from dataclasses import replace

from tfmtl.balancing import Balancer
from tfmtl.models.steps.forward_pass import ForwardPass
from tfmtl.models.steps.perturb import pass_states, perturb
from tfmtl.models.steps.step_gradients import StepGradients
from tfmtl.models.steps.summed_gradients import summed_gradients
from tfmtl.sharpness import Sharpness


def flat_gradients(
    forward: ForwardPass,
    sharpness: Sharpness,
    balancer: Balancer | None,
    gradients_at: Callable[[ForwardPass], StepGradients],
) -> StepGradients:
    """Two passes: one for the direction of the perturbation, one for the gradient there.

    A balancer of losses weighs them in both passes alike. One that reads gradients balances those of the second pass,
    which make the step; the direction of the perturbation is that of the plain sum. Either is asked once, so its
    history moves once. The metrics are of the first pass.

    Args:
        forward: `ForwardPass`.
        sharpness: `Sharpness`, not decomposed.
        balancer: `Balancer` or `None`.
        gradients_at: how to balance gradients, for a balancer that reads them.
    """
    states = pass_states(forward)
    reads_gradients = balancer is not None and balancer.uses_gramian
    first = summed_gradients(forward, None if reads_gradients else balancer)
    moved = forward.at(perturb(forward, sharpness, first.dense, first.rows, states))
    second = gradients_at(moved) if reads_gradients else summed_gradients(moved, balancer, first.weights)
    return replace(first, dense=second.dense, rows=second.rows)
