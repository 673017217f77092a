# %% [markdown]
# # Our layers in your own Keras model
#
# The layers, losses and metrics are Keras parts like any others. Nothing else of the package is needed: no problem file, no
# prepared data.

# %% tags=["parameters"]
ROWS, EPOCHS = 20_000, 4

# %%
import keras
import numpy as np

from tfmtl import layers, losses, metrics

keras.utils.set_random_seed(0)
draw = np.random.default_rng(0)
inputs = draw.normal(size=(ROWS, 12)).astype("float32")
common = inputs[:, 0] * inputs[:, 1] + inputs[:, 2]  # a product: a plain layer finds it hard
click = (common + draw.normal(size=ROWS) > 0).astype("float32")
buy = (common - inputs[:, 3] + draw.normal(size=ROWS) > 0).astype("float32")
buy[click == 0] = np.nan  # only known after a click
targets = {"click": click, "buy": buy}

# %% [markdown]
# ## A model of parts
#
# `CrossNetwork` multiplies features with each other, `MMoE` shares experts between the tasks through a gate of each, and
# `TowerBank` holds the towers of all tasks as one batched product. Between tasks there is one axis more: `(B, T, H)`.

# %%
given = keras.Input((12,))
crossed = layers.CrossNetwork(num_layers=2)(given)
shared = layers.MMoE(num_tasks=2, num_experts=4, hidden_units=(32, 16))(crossed)  # (B, 2, 16)
towers = layers.TowerBank(num_tasks=2, hidden_units=(16,))(shared)
logits = {
    name: keras.layers.Dense(1, name=name)(towers[:, number])[:, 0] for number, name in enumerate(("click", "buy"))
}
model = keras.Model(given, logits)
model.summary()

# %% [markdown]
# ## Missing labels
#
# The losses of `tfmtl.losses` mask NaN: a row without a label changes neither the loss nor a gradient. The metrics of
# `tfmtl.metrics` leave it out likewise.

# %%
model.compile("adam", loss=dict.fromkeys(targets, losses.masked_binary_cross_entropy))
split = int(0.8 * ROWS)
history = model.fit(
    inputs[:split], {name: label[:split] for name, label in targets.items()}, batch_size=256, epochs=EPOCHS, verbose=0
)
print({name: round(values[-1], 4) for name, values in history.history.items()})

# %%
scores = model.predict(inputs[split:], batch_size=4096, verbose=0)
for name, label in targets.items():
    report = metrics.binary_report(label[split:], 1.0 / (1.0 + np.exp(-scores[name])))
    print(name, {key: round(report[key], 4) for key in ("examples", "auc", "log_loss", "ece")})

# %% [markdown]
# ## What the gates do
#
# A layer inside a model can be asked as any Keras layer can: here how each task mixes the experts.

# %%
import matplotlib.pyplot as plt

mixing = next(layer for layer in model.layers if isinstance(layer, layers.MMoE))
before = keras.Model(given, crossed)(inputs[split:])
[gates] = mixing.gate_weights(before[:, None])  # (B, T, E), of (B, 1, H)
mean = np.asarray(gates).mean(axis=0)
plt.imshow(mean, cmap="Blues", vmin=0.0)
plt.yticks([0, 1], ["click", "buy"])
plt.xticks(range(mean.shape[1]), [f"expert {number}" for number in range(mean.shape[1])])
for row, column in np.ndindex(*mean.shape):
    plt.text(column, row, f"{mean[row, column]:.2f}", ha="center", va="center")
plt.show()

# %% [markdown]
# ## Saving
#
# The layers are registered with Keras: a saved model loads with `import tfmtl` alone.

# %%
import tempfile
from pathlib import Path

path = Path(tempfile.mkdtemp(), "model.keras")
model.save(path)
again = keras.models.load_model(path, compile=False)
print(np.abs(again.predict(inputs[:100], verbose=0)["buy"] - model.predict(inputs[:100], verbose=0)["buy"]).max())
