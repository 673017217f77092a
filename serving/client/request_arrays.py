"""A request, checked against the model's schema, as the arrays that are sent."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy.typing as npt

from tfmtl.serving.client.feature_columns import Features, kept_names, read_columns
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.protocol.signature import Signature
from tfmtl.values.feature_arrays import RequestError, Where, check_events, make_array

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


def predict_arrays(features: Features, signature: Signature, ignore_extra: bool = False) -> Arrays:
    """Returns input name -> array for a batch.

    Args:
        features: as `read_columns` takes them.
        signature: Signature.
        ignore_extra: bool. Whether names that are no inputs are left out, not refused. Defaults to `False`.

    Raises:
        FeatureError: a feature is missing, unknown, or not what the model takes; tells feature and row.
    """
    known = signature.inputs if ignore_extra else None
    columns = read_columns(features, signature.check_input_names, known=known)
    return _arrays(columns, signature, "row {}".format)


def rank_arrays(
    user: Mapping[str, Any], candidates: Features, signature: Signature, ignore_extra: bool = False
) -> Arrays:
    """Returns input name -> array for one user and N candidates.

    Args:
        user: feature -> value (or list of values) of everything that all candidates share.
        candidates: as `read_columns` takes them, a row each.
        signature: Signature. What has one row there is the user's.
        ignore_extra: bool. As `predict_arrays`; an input of the other side is refused all the same.

    Raises:
        FeatureError: as `predict_arrays`.
    """
    sides = {
        "user": {name: spec for name, spec in signature.inputs.items() if not spec.is_batched},
        "candidates": {name: spec for name, spec in signature.inputs.items() if spec.is_batched},
    }
    of_user, of_candidates = (replace(signature, inputs=inputs) for inputs in sides.values())

    def check_user(names: Iterable[str]) -> None:
        _check_side(names, "candidates", of_candidates)
        of_user.check_input_names(names)

    def check_candidates(names: Iterable[str]) -> None:
        _check_side(names, "user", of_user)
        of_candidates.check_input_names(names)

    known = signature.inputs if ignore_extra else None
    of_all = {name: user[name] for name in kept_names(user, known)}
    try:
        check_user(of_all)
    except FeatureError as error:
        raise error.at("user") from error
    arrays = _arrays({name: [value] for name, value in of_all.items()}, of_user, lambda _: "user")
    columns = read_columns(candidates, check_candidates, "candidate", known)
    return arrays | _arrays(columns, of_candidates, "candidate {}".format)


def _check_side(names: Iterable[str], other: str, signature: Signature) -> None:
    for name in names:
        if name in signature.inputs:
            raise FeatureError(f"feature {name!r} must be given with the {other}, because of its side.", name)


def _arrays(columns: Mapping[str, Any], signature: Signature, where: Where) -> Arrays:
    try:
        arrays = {name: make_array(name, columns[name], spec, where) for name, spec in signature.inputs.items()}
        signature.check_inputs(arrays)
        check_events(columns, signature.inputs, where)
    except RequestError as error:
        raise FeatureError(str(error), error.feature, error.row) from error
    return arrays
