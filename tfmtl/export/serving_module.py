"""The exported graph: raw features in, one named output per task and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfmtl.data import RawTransform
from tfmtl.data.example_spec import (
    candidate_features,
    candidate_tensors,
    parse_raw_examples,
    rank_signature,
    raw_signature,
)
from tfmtl.export.answers import Answers
from tfmtl.export.calibration.calibrator import outputs_of
from tfmtl.export.stored_table import StoredTable
from tfmtl.schema import Problem, TaskRecord
from tfmtl.tasks import behavior_of
from tfmtl.tasks.signature import Signature

if TYPE_CHECKING:  # replaying an export must not load the layers
    from tfmtl.models import MultiTaskModel

SERVE = "serving_default"
SERVE_EXAMPLES = "serve_examples"
RANK = "rank"


def signature_specs(problem: Problem) -> dict[str, dict[str, tf.TensorSpec]]:
    """Signature name -> input name -> its spec; `rank` is there if the problem has features of side `item`."""
    specs = {
        SERVE: raw_signature(problem),
        SERVE_EXAMPLES: {"examples": tf.TensorSpec((None,), tf.string, "examples")},
    }
    return specs | {RANK: rank_signature(problem)} if candidate_features(problem) else specs


def method_signatures(problem: Problem, tasks: Sequence[str]) -> dict[str, str]:
    """Signature name -> task, of the signatures for TF Serving's Classify and Regress, which not every kind has."""
    methods = {task: problem.task(task).serving_method for task in tasks}
    return {f"{method}_{task}": task for task, method in methods.items() if method is not None}


def task_signatures(answers: Answers) -> dict[str, tuple[str, Signature]]:
    """Signature name -> task and signature, of those that the kinds of the answered tasks have of their own."""
    return {
        name: (record.name, signature)
        for record in answers.records
        for name, signature in behavior_of(record).signatures().items()
    }


class ServingModule(tf.Module):
    """A model behind its transformation, with the signatures that a server offers.

    - `serving_default`: named raw features (see `tfmtl.data.example_spec.raw_signature`).
    - `serve_examples`: `examples`, serialized `tf.train.Example`s with the same features.
    - `rank`: the features of `serving_default`, those of side `item` with a row for each candidate, all others with one
      row: what is known of the user is looked up, encoded and read once. Only where the problem has such features.

    These answer with one float32 `(B,)` for each name of `answers`; `(B, ...)` for several numbers per row.

    Then, for TF Serving's Classify and Regress, one for each task that is answered and whose kind has such a method:

    - `classify_<task>`: `inputs`, as `examples` above, to `classes`, string `(B, C)`, of a binary task `"0"` and `"1"`,
      and `scores`, float32 `(B, C)`, their probabilities.
    - `regress_<task>`: `inputs` to `outputs`, float32 `(B,)`.

    And those that a kind of task has of its own (`TaskBehavior.signatures`), with further inputs beside the features:

    - `survival_at_<task>`: `times`, float32 `(B, M)`, and `age`, float32 `(B,)`, to `<task>__survival`, `(B, M)`: the
      chance to live so much longer than the age.
    - `remaining_life_<task>`: `age` to `<task>`, `(B,)`: the expected rest of life.

    Args:
        model: `MultiTaskModel`.
        transform: `RawTransform`.
        problem: `Problem`.
        answers: `Answers`.
        tables: mapping of width, as text, to `StoredTable`, which are stored and read in place of the model's. Defaults
            to `None`: the model's own.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        transform: RawTransform,
        problem: Problem,
        answers: Answers,
        tables: Mapping[str, StoredTable] | None = None,
    ) -> None:
        super().__init__(name="serving")
        self.transform = transform  # tracked: its vocabularies become assets
        # The model's weights are tracked, the model is not: a Keras object in a SavedModel drags its whole
        # training graph along, and the metrics' states with it.
        self._tables = dict(tables or {})
        replaced = {id(table) for width, table in model.embedding.tables.items() if width in self._tables}
        self._weights = [weight.value for weight in model.weights if id(weight) not in replaced]
        self._reading = model.embedding.reading  # the method alone, since the layer would be tracked
        self._problem = problem
        self._methods = method_signatures(problem, answers.tasks)

        def predict(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return answers.of_tensors(model(features, training=False))

        def answer(
            task: str, signature: Signature, features: Mapping[str, tf.Tensor], given: Mapping[str, tf.Tensor]
        ) -> Mapping[str, tf.Tensor]:
            outputs = outputs_of(task, answers.calibrated_tensors(model(features, training=False)))
            found: Mapping[str, tf.Tensor] = signature.answer(model.heads[task], outputs, given)
            return found

        self._predict = predict
        self._answer = answer
        self._further = task_signatures(answers)

    def signatures(self) -> dict[str, Any]:
        """Signature name -> concrete function, for `tf.saved_model.save`."""
        if not self._tables:
            return self._traced()
        with self._reading(lambda width, ids: self._tables[width].rows(ids)):
            return self._traced()

    def _traced(self) -> dict[str, Any]:
        candidates = candidate_tensors(self._problem)
        specs = signature_specs(self._problem)

        @tf.function(autograph=False)  # nothing here depends on a tensor's value
        def serving_default(**features: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._predict(self.transform(features))

        functions = {SERVE: serving_default.get_concrete_function(**specs[SERVE])}

        @tf.function(autograph=False)
        def serve_examples(examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
            # A call, not a second trace: exporting takes a third less time and the graph is a third smaller.
            outputs: Mapping[str, tf.Tensor] = functions[SERVE](**parse_raw_examples(self._problem, examples))
            return outputs

        @tf.function(autograph=False)
        def rank(**features: tf.Tensor) -> Mapping[str, tf.Tensor]:
            encoded = self.transform(features)
            # The layers see by the static shape what holds for all candidates.
            of_user = {name: value for name, value in encoded.items() if name not in candidates}
            once = {
                name: value if value.shape[0] == 1 else tf.ensure_shape(value, (1, *value.shape[1:]))
                for name, value in of_user.items()
            }
            return self._predict({**encoded, **once})

        functions[SERVE_EXAMPLES] = serve_examples.get_concrete_function(**specs[SERVE_EXAMPLES])
        if RANK in specs:
            functions[RANK] = rank.get_concrete_function(**specs[RANK])
        for name, (task_name, signature) in self._further.items():
            functions[name] = self._own_signature(task_name, signature)
        for name, task in self._methods.items():
            functions[name] = _method_signature(functions[SERVE_EXAMPLES], self._problem.task(task))
        return functions

    def _own_signature(self, task: str, signature: Signature) -> Any:
        """One that a kind of task has: the features, and beside them what it asks for."""

        @tf.function(autograph=False)
        def own(**given: tf.Tensor) -> Mapping[str, tf.Tensor]:
            features = {key: value for key, value in given.items() if key not in signature.inputs}
            return self._answer(task, signature, self.transform(features), given)

        return own.get_concrete_function(**raw_signature(self._problem), **signature.inputs)


def _method_signature(serve_examples: Any, task: TaskRecord) -> Any:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, "inputs")])
    def infer(inputs: tf.Tensor) -> Mapping[str, tf.Tensor]:
        answers = serve_examples(examples=inputs)
        if task.serving_method == "regress":
            return {"outputs": answers[task.name]}
        outputs = {output.suffix: answers[task.key(output.suffix)] for output in task.outputs}
        classes = tf.tile(tf.constant([task.class_names]), (tf.size(answers[task.name]), 1))
        return {"classes": classes, "scores": behavior_of(task).class_scores(outputs)}

    return infer.get_concrete_function()
