"""The operator network: the product of a branch (reads inputs) and a trunk (reads points)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.operators.balanced_model import BalancedModel
from tfmtl.operators.initial_condition import PeriodicInitialCondition
from tfmtl.operators.inverse_scale import InverseScale
from tfmtl.operators.operator_checks import check_inputs, check_points
from tfmtl.operators.operator_data import RESERVED, OperatorData, check_finite
from tfmtl.operators.predict_inputs import with_shared_points
from tfmtl.operators.standardize import STATISTICS, Standardize
from tfmtl.operators.stretched_coordinate import StretchedCoordinate
from tfmtl.schema.checks import check_bool, check_one_of, check_positive_int, error_text
from tfmtl.schema.training_range import TrainingRange

_OWNER = "OperatorNetwork"


@keras.saving.register_keras_serializable(package="tfmtl")
class OperatorNetwork(BalancedModel):
    """Maps functions, coefficients and geometries to the values of the solution at any points.

    `u(b, y) = mask(y) (mean + deviation (bias + sum_c branch(b)_c trunk(y)_c / sqrt(p)))`, in physical units: what is
    put in and out is standardized inside, by statistics that `adapt` takes of the training data. With a POD trunk the
    mean is its mean field; with a hard initial condition `u = u0(x) + t deviation (...)`. The last layer of the branch
    is linear and the network's own (`last`), a kernel for each output; the trunk is shared by the outputs.

    A plain Keras model: `compile`, `fit` on `OperatorData.batches`, `evaluate` and `predict` on `OperatorData.whole`,
    `save`. What a query needs of the inputs is `encode`d once; `query` then answers for any number of points.

    Shapes: B batch, Q points of d coordinates, C outputs, p functions.

    Args:
        branch: layer; dict of named, standardized inputs -> `(B, H)`, such as `MLPBranch`.
        trunk: layer; `(R, d)` points -> `(R, p)`, with an `adapt(data)`, such as `MLPTrunk`.
        input_shapes: mapping of input name to its shape without the batch. All that a client has to give, points and
            mask aside.
        point_dim: int. Number of coordinates d.
        num_outputs: int. Number of fields C. Defaults to `1`.
        standardize: mapping of input name to `"entry"` or `"field"`, see `Standardize`. Inputs not named are taken as
            they are. Defaults to `None`: none.
        coefficients: Sequence of str. Inputs, vectors, whose range in training is remembered; `predict` warns outside
            of it. Defaults to `()`.
        initial_condition: `PeriodicInitialCondition` or None. Defaults to `None`.
        use_mask: bool. Whether the answer is multiplied by an input `mask`, `(B, Q)`. Defaults to `False`.
        scale: `InverseScale` or None. How the solution scales with a coefficient field; not together with an initial
            condition. Defaults to `None`.
        coordinates: `StretchedCoordinate` or None. Coordinates that move with the geometry, in which the trunk reads
            the points; not together with an initial condition. Defaults to `None`.
        **kwargs: Passed to `keras.Model` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of the named inputs `(B, ...)`, `points`, `(Q, d)` for all samples or `(B, Q, d)`, and `mask`,
            `(B, Q)`, if the network uses one. `task` and other keys are ignored.

    Returns:
        float32 `(B, Q)`, or `(B, Q, C)` with several outputs.

    Raises:
        ValueError: If an argument does not fit the others, or points or inputs have another shape.
        TypeError: If a number is not an int.

    Example:

    >>> import keras
    >>> from tfmtl.operators import MLPBranch, MLPTrunk, OperatorNetwork
    >>> network = OperatorNetwork(MLPBranch(["initial"], (16,)), MLPTrunk(10, (16,)), {"initial": (64,)}, point_dim=2)
    >>> network({"initial": keras.ops.ones((3, 64)), "points": keras.ops.ones((5, 2))}).shape
    TensorShape([3, 5])

    Reference:
        Lu et al. 2021 (DeepONet), https://arxiv.org/abs/1910.03193, eq. 2; Kumar et al. 2025 (MT-DeepONet),
        https://arxiv.org/abs/2408.02198: coefficients and mask as inputs. The factor `1 / sqrt(p)` is ours: without it
        the answer starts p times too large in variance.
    """

    def __init__(
        self,
        branch: keras.layers.Layer,
        trunk: keras.layers.Layer,
        input_shapes: Mapping[str, Sequence[int]],
        point_dim: int,
        num_outputs: int = 1,
        standardize: Mapping[str, str] | None = None,
        coefficients: Sequence[str] = (),
        initial_condition: PeriodicInitialCondition | None = None,
        use_mask: bool = False,
        scale: InverseScale | None = None,
        coordinates: StretchedCoordinate | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})  # points and physical values stay float32
        check_positive_int(_OWNER, "point_dim", point_dim)
        check_positive_int(_OWNER, "num_outputs", num_outputs)
        check_bool(_OWNER, "use_mask", use_mask)
        self.branch = branch
        self.trunk = trunk
        self.input_shapes = {name: tuple(shape) for name, shape in input_shapes.items()}
        self.point_dim = point_dim
        self.num_outputs = num_outputs
        self.standardize = dict(standardize or {})
        self.coefficients = tuple(coefficients)
        self.initial_condition = initial_condition
        self.use_mask = use_mask
        self.scale = scale
        self.coordinates = coordinates
        self._check_names()
        self.standardizers = {
            name: Standardize(how, dtype=self.dtype_policy, name=f"standardize_{name}")
            for name, how in self.standardize.items()
        }

    def _check_names(self) -> None:
        """Raises unless the inputs that the arguments name are there and have the right shapes."""
        for name in self.input_shapes:
            if name in RESERVED:
                raise ValueError(error_text(_OWNER, "input_shapes", f"not name {RESERVED}", name, "Rename it."))
        names = list(self.input_shapes)
        for name, how in self.standardize.items():
            check_one_of(_OWNER, "standardize", name, names)
            check_one_of(_OWNER, f"standardize[{name!r}]", how, STATISTICS)
        for name in self.coefficients:
            check_one_of(_OWNER, "coefficients", name, names)
            if len(self.input_shapes[name]) != 1:
                received = name, self.input_shapes[name]
                raise ValueError(error_text(_OWNER, "coefficients", "name vectors", received, "Leave it out."))
        if self.scale is not None:
            self.scale.check(_OWNER, self.input_shapes)
        if self.coordinates is not None:
            self.coordinates.check(_OWNER, self.input_shapes, self.point_dim)
        if self.initial_condition is None:
            return
        check_one_of(_OWNER, "initial_condition", self.initial_condition.input, names)
        if self.num_outputs > 1:
            advice = "Use a network for each output, or no initial condition."
            raise ValueError(error_text(_OWNER, "num_outputs", "be 1", self.num_outputs, advice))
        for argument, part, advice in (
            ("scale", self.scale, "The start would be scaled with the solution."),
            ("coordinates", self.coordinates, "The start is given on the points as they are."),
        ):
            if part is not None:
                rule = "be None with an initial condition"
                raise ValueError(error_text(_OWNER, argument, rule, part.get_config(), advice))

    def build(self, input_shape: Any = None) -> None:
        """Builds every part; the shapes follow from the arguments, so none is needed."""
        shapes = {name: (None, *shape) for name, shape in self.input_shapes.items()}
        for name, layer in self.standardizers.items():
            layer.build(shapes[name])
        for layer, shape in ((self.branch, shapes), (self.trunk, (None, self.point_dim))):
            if not layer.built:  # a deserialized layer has already built itself
                layer.build(shape)
        width = self.branch.compute_output_shape(shapes)[-1]
        self.last = StackedDense(self.num_outputs, self.trunk.latent_dim, dtype=self.dtype_policy, name="last")
        self.last.build((None, 1, width))
        fixed = {"shape": (self.num_outputs,), "trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **fixed)
        self.deviation = self.add_weight(name="deviation", initializer="ones", **fixed)
        self.bias = self.add_weight(name="bias", shape=(self.num_outputs,), initializer="zeros", autocast=False)
        self.ranges = {}
        for name in self.coefficients:
            own = {"shape": shapes[name][1:], "trainable": False, "autocast": False}
            self.ranges[name] = [
                self.add_weight(name=f"{name}_{end}", initializer=keras.initializers.Constant(value), **own)
                for end, value in (("low", -np.inf), ("high", np.inf))
            ]
        self.built = True

    def adapt(self, data: OperatorData) -> None:
        """Computes the means and deviations of inputs, points and fields from the training samples.

        Args:
            data: `OperatorData`, the training samples.

        Raises:
            ValueError: an input is missing or has another shape, or the trunk cannot use the data.
        """
        if not self.built:
            self.build()
        check_inputs(data.inputs, self.input_shapes, "data.inputs")
        for name, (low, high) in self.ranges.items():
            low.assign(data.inputs[name].min(axis=0))
            high.assign(data.inputs[name].max(axis=0))
        data = data if self.scale is None else self.scale.reduced(data)
        for name, layer in self.standardizers.items():
            values = data.inputs[name]
            inside = None if data.mask is None or data.mask.size != values.size else data.mask.reshape(values.shape)
            layer.adapt(values, inside if layer.statistics == "field" else None)
        self.trunk.adapt(data)
        targets = data.targets.reshape((*data.targets.shape[:2], -1)).astype(np.float64)
        values = targets.reshape(-1, self.num_outputs) if data.mask is None else targets[data.mask]
        self.mean.assign(values.mean(axis=0))
        self.deviation.assign(np.maximum(values.std(axis=0), 1e-12))

    # === Forward ===

    def hidden(self, inputs: Tensors) -> Tensor:
        """What the branch's last layer reads, `(B, H)`."""
        check_inputs(inputs, self.input_shapes)
        if self.scale is not None:
            inputs, _ = self.scale.split(inputs)
        return self.branch(
            {
                name: self.standardizers[name](inputs[name]) if name in self.standardizers else inputs[name]
                for name in self.input_shapes
            }
        )

    def encode(self, inputs: Tensors) -> Tensor:
        """All that a query needs of the inputs, float32 `(B, C p)`; an initial condition adds its X values, a scale and
        moved coordinates one each."""
        codes = ops.cast(self.last(self.hidden(inputs)[:, None]), "float32")  # (B, C, p)
        codes = ops.reshape(codes, (-1, self.num_outputs * self.trunk.latent_dim))
        parts = [codes]
        if self.initial_condition is not None:
            parts.append(ops.cast(inputs[self.initial_condition.input], "float32"))
        if self.scale is not None:
            parts.append(self.scale.split(inputs)[1])
        if self.coordinates is not None:
            parts.append(self.coordinates.place(inputs))
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else codes

    def query(self, codes: Tensor, points: Tensor, mask: Tensor | None = None) -> Tensor:
        """The solution at points.

        Args:
            codes: what `encode` returned.
            points: float `(Q, d)`, the same for all samples, or `(B, Q, d)`.
            mask: `(B, Q)` or None. What the answer is multiplied by. Defaults to `None`, nothing.

        Returns:
            As the call.

        Raises:
            ValueError: points have another number of coordinates, or the mask another number of points.
        """
        check_points(points, mask, self.point_dim)
        if self.coordinates is not None:
            points = self.coordinates.moved(codes[:, -1:], points)
        start, gain = self.fixed_part(codes, points)
        functions = self._functions(points)  # (Q, p) or (B, Q, p)
        width = self.num_outputs * self.trunk.latent_dim
        factor = 1.0 if self.scale is None else codes[:, width : width + 1, None]  # (B, 1, 1)
        codes = ops.reshape(codes[:, :width], (-1, self.num_outputs, self.trunk.latent_dim))
        axes = (0, 1) if len(points.shape) == 2 else (0, 1, 2)
        products = ops.matmul(codes, ops.transpose(functions, (*axes[:-2], axes[-1], axes[-2])))  # (B, C, Q)
        learned = ops.transpose(products, (0, 2, 1)) / np.float32(np.sqrt(self.trunk.latent_dim)) + self.bias
        fields = factor * (start + gain * self.deviation * learned)  # (B, Q, C)
        if mask is not None:
            fields = fields * ops.cast(mask, "float32")[..., None]
        return fields[..., 0] if self.num_outputs == 1 else fields

    def _functions(self, points: Tensor) -> Tensor:
        flat = points if len(points.shape) == 2 else ops.reshape(points, (-1, self.point_dim))
        functions = ops.cast(self.trunk(flat), "float32")
        if len(points.shape) == 2:
            return functions
        return ops.reshape(functions, (-1, ops.shape(points)[1], self.trunk.latent_dim))

    def fixed_part(self, codes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to the learned part, and what it is multiplied by before; `(B or 1, Q, 1)` each, or less."""
        condition = self.initial_condition
        if condition is not None:
            initial = codes[:, self.trunk.latent_dim :]
            return condition.start(initial, points)[..., None], condition.gain(points)[..., None]
        if not hasattr(self.trunk, "mean_field"):
            return self.mean, ops.ones(())
        flat = ops.reshape(points, (-1, self.point_dim))
        return ops.reshape(self.trunk.mean_field(flat), (*_front(points), 1)), ops.ones(())

    def call(self, inputs: Tensors) -> Tensor:
        if self.use_mask and "mask" not in inputs:
            rule, advice = "hold `mask`", "Give the mask at the points, or make the network with use_mask=False."
            raise ValueError(error_text(_OWNER, "inputs", rule, sorted(inputs), advice))
        return self.query(self.encode(inputs), inputs["points"], inputs["mask"] if self.use_mask else None)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        batch = next(input_shape[name][0] for name in self.input_shapes)
        shape = (batch, input_shape["points"][-2])
        return shape if self.num_outputs == 1 else (*shape, self.num_outputs)

    # === Training ===

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """`keras.Model.fit`, except that `shuffle` defaults to `False`: `OperatorData.batches` shuffles already.

        Warns where the network was never adapted.
        """
        kwargs.setdefault("shuffle", False)
        if not self.built or (np.all(self.mean.numpy() == 0.0) and np.all(self.deviation.numpy() == 1.0)):
            warnings.warn(
                f"{_OWNER}: `adapt` must be called before `fit`. Received: a network whose inputs and targets are not "
                "standardized. Call adapt(data) with the training samples.",
                UserWarning,
                stacklevel=2,
            )
        return super().fit(*args, **kwargs)

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, **kwargs: Any
    ) -> Any:
        """`keras.Model.predict`, with a warning where coefficients lie outside of their training range.

        Args:
            x: dict of inputs, `points` either `(Q, d)` for all samples or `(B, Q, d)`, or a dataset of batches.
            batch_size: int or None. Rows of a batch, for a dict. Defaults to `None`: 32.
            verbose: as that of `keras.Model.predict`. Defaults to `"auto"`.
            steps: int or None. Batches of a dataset. Defaults to `None`: all.
            **kwargs: Passed to `keras.Model.predict` (`callbacks`).

        Raises:
            ValueError: an array of the dict holds NaN or infinity.
        """
        if isinstance(x, Mapping):
            advice = "Fill the gap, or leave that sample out."
            check_finite(_OWNER, {name: np.asarray(values) for name, values in x.items()}, advice)
        shared = with_shared_points(x, batch_size)
        size = batch_size if shared is x else None
        answer, coefficients = super().predict(shared, batch_size=size, verbose=verbose, steps=steps, **kwargs)
        self.training_range.warn(_OWNER, coefficients)
        return answer

    def predict_step(self, data: Any) -> Any:
        """The answer, and the coefficients that it was asked for: `predict` looks at them without a second reading."""
        features, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return super().predict_step(data), {name: features[name] for name in self.coefficients if name in features}

    def predict_on_batch(self, x: Any) -> Any:
        """As `keras.Model.predict_on_batch`."""
        return super().predict_on_batch(x)[0]

    @property
    def training_range(self) -> TrainingRange:
        """The ranges of the coefficients in training."""
        return TrainingRange(
            {name: (low.numpy().tolist(), high.numpy().tolist()) for name, (low, high) in self.ranges.items()}
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "branch": keras.saving.serialize_keras_object(self.branch),
            "trunk": keras.saving.serialize_keras_object(self.trunk),
            "input_shapes": {name: list(shape) for name, shape in self.input_shapes.items()},
            "point_dim": self.point_dim,
            "num_outputs": self.num_outputs,
            "standardize": self.standardize,
            "coefficients": list(self.coefficients),
            "initial_condition": keras.saving.serialize_keras_object(self.initial_condition),
            "use_mask": self.use_mask,
            "scale": keras.saving.serialize_keras_object(self.scale),
            "coordinates": keras.saving.serialize_keras_object(self.coordinates),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OperatorNetwork":
        parts = {
            name: keras.saving.deserialize_keras_object(config.pop(name, None))  # a file may be older than an argument
            for name in ("branch", "trunk", "initial_condition", "scale", "coordinates")
        }
        return cls(**parts, **config)


def _front(points: Tensor) -> tuple[Any, ...]:
    """The axes of the points before their coordinates."""
    return tuple(ops.shape(points))[:-1]
