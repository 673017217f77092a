"""The answers of Classify and Regress as TF Serving's JSON."""

from typing import Any

from tfmtl.serving.server.example_inference import Arrays, classification_result, regression_result

Json = Any


def classifications_to_json(outputs: Arrays, size: int) -> Json:
    """A list of `[label, score]` for each example."""
    return [
        [[each.label, each.score] for each in classified.classes]
        for classified in classification_result(outputs, size).classifications
    ]


def regressions_to_json(outputs: Arrays, size: int) -> Json:
    """The value of each example."""
    return [each.value for each in regression_result(outputs, size).regressions]
