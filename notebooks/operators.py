# %% [markdown]
# # One network for a family of equations
#
# Reaction and diffusion on a ring, `u_t = 0.01 u_xx + 5 (c1 u + c2 u^2 + c3 u^3 + c4 u^4)`: one operator network learns several forms of the reaction at once, because the coefficients c are inputs of its branch. Everything here takes about a minute on two cores; `tfmtl operators fisher` runs it with more steps and all comparisons. Each part is described in `docs/operators.md`.

# %% [markdown]
# ## Solved problems
#
# The solver is of second order in its step and the tests compare it with an exact solution. Inputs are the coefficients and the initial state `u0`; the field is u at 20 times and 64 places.

# %%
import numpy as np

from tfmtl.operators import OperatorData, refit_last_layer
from tfmtl.pipelines.physics import fisher
from tfmtl.pipelines.physics.field_figure import field_figure
from tfmtl.pipelines.physics.networks import fisher_network
from tfmtl.pipelines.physics.study import Setting, by_task, copy_of, predicted, trained

train = OperatorData.join(*(fisher.samples(form, 200, seed=0) for form in ("F1", "F2", "F4")))
test = OperatorData.join(*(fisher.samples(form, 100, seed=1) for form in fisher.FORMS))
print(f"solver error {fisher.exact_error():.1e}")
print({name: values.shape for name, values in train.inputs.items()}, train.targets.shape, train.task_names)


# %% [markdown]
# ## One training
#
# Branch and trunk are composed in `pipelines/physics/networks.py`. The trunk is periodic in x, and the initial condition holds exactly: `u = u0 + t N`. A step reads 100 samples at 128 points, drawn anew each time.


# %%
def means(fields):
    return {task: round(float(errors.mean()), 4) for task, errors in by_task(test, fields).items()}


network, clock = trained(fisher_network, train, Setting(1500))
fields = predicted(network, test)
print("relative L2 errors          ", means(fields))
print("of u(t) = u0, for comparison", means(np.tile(test.inputs["initial"], 20)))

# %% [markdown]
# F3 was not in training: the network knows it only from its coefficients. For comparison, a network without the coefficients:

# %%
blind, _ = trained(lambda: fisher_network(use_coefficients=False), train, Setting(1500))
print(means(predicted(blind, test)))

# %%
field_figure(test, fields, lambda values: values.reshape(20, 64))

# %% [markdown]
# ## A new form with 50 samples
#
# The answer is linear in the branch's last layer, so that layer can be fitted in closed form; no other weight changes. The errors of the other forms grow: the network forgets them. Further training with `rehearse` mixes old samples in.

# %%
new = fisher.samples("F3", 50, seed=2)
moved = copy_of(network)
before, after = refit_last_layer(moved, new)
print(f"squared error on the 50 samples {before:.2e} -> {after:.2e}")
print(means(predicted(moved, test)))

# %% [markdown]
# ## Any points, and a warning outside of the training range
#
# `encode` computes the branch once; `query` then answers for any points (t, x), also between those of training.

# %%
codes = network.encode({name: values[:1] for name, values in test.inputs.items()})
print(np.round(network.query(codes, np.float32([[0.5, 0.1], [0.5, 0.35]])), 4))

# %%
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    odd = {**test.rows(slice(1)).features(), "coefficients": np.float32([[3.0, -3.0, 0.0, 0.0]])}
    network.predict(odd, verbose=0)
print(caught[0].message)
