# %% [markdown]
# # A first model from a DataFrame
#
# From a log in a pandas DataFrame to a multi-task model, without files and without a pipeline. The log is made up
# (`shop_log.py`): what was shown to whom, and whether it was clicked and bought.

# %% tags=["parameters"]
ROWS, EPOCHS = 20_000, 3

# %%
import keras
from shop_log import shop_log

import tfmtl

keras.utils.set_random_seed(0)
log = shop_log(ROWS)
log.head()

# %% [markdown]
# ## What is to be learned
#
# Only the labels must be named. `propose` looks at the columns and says of every guess why it made it. Read the table: a
# column that is known only after the example must not become a feature. It found `watch_seconds` by its name; not all have
# such names.

# %%
proposed = tfmtl.propose(log, labels=["click", "buy"], user="user_id", time="time", item="item_id", name="shop")
proposed

# %% [markdown]
# ## Changing the proposal
#
# It is a plain mapping, and a YAML file if you prefer (`proposed.save("problem.yaml")`). Here the purchase gets the click
# as its parent, and clicks become a history of their own: a click is known at once, which `known_at_event` says.

# %%
description = proposed.to_dict()
description["tasks"] = [
    {"kind": "binary", "name": "click", "known_at_event": True},
    {"kind": "binary", "name": "buy", "parent": "click"},
]
description["sequences"].append(
    {"name": "clicked", "columns": ["item_id", "topic"], "when": "click == 1", "max_length": 20}
)
problem = tfmtl.schema.Problem.from_dict(description)

# %% [markdown]
# ## Preparing
#
# The newest tenth of the log is the test split, the tenth before validates. Vocabularies and scales are fitted to the
# training split, and a history holds what a user did strictly before each example. Rows that cannot be read would be
# counted here, and listed by `data.rejected()`. The data lie in a temporary folder; name one to keep them.

# %%
data = tfmtl.prepare(log, problem)
data

# %% [markdown]
# ## Training
#
# `dtrn` gives every task its own view of features and histories. It is a Keras model: `fit`, callbacks and `predict` work
# as usual, and the losses follow from the problem.

# %%
model = tfmtl.models.dtrn(data.inputs)
model.compile()
history = model.fit(data.train(256), validation_data=data.valid(1024), epochs=EPOCHS, verbose=0)
tfmtl.report.curves_figure(history.history)

# %% [markdown]
# ## Is it good?
#
# Below each task stands what a constant scores. NE, the normalized entropy, is below 1 where the model knows more than the
# mean label. GAUC is the AUC within each user.

# %%
tfmtl.evaluate(model, data)

# %% [markdown]
# `tfmtl.export.export(model, data, "model")` writes a SavedModel that takes raw features: see `05_export_and_serve`.
