# %% [markdown]
# # Your own log: histories and derived features
#
# A log has its own shape: several kinds of behavior in one column, missing values in words, rows that are wrong. Here is
# such a log, and what becomes of it.

# %% tags=["parameters"]
ROWS = 20_000

# %%
import keras
import numpy as np
import pandas as pd
from shop_log import shop_log

import tfmtl

keras.utils.set_random_seed(0)
log = shop_log(ROWS).drop(columns=["watch_seconds"])
draw = np.random.default_rng(1)
log["country"] = log["country"].mask(draw.random(ROWS) < 0.1, "N/A")  # missing, in words
log["price"] = log["price"].astype(str)
log.loc[draw.choice(ROWS, 20, replace=False), "price"] = "ask us"  # not a number
log["time"] = pd.to_datetime(log["time"], unit="s", utc=True)  # a timestamp column
log.sample(5, random_state=0)

# %% [markdown]
# ## Describing it
#
# The problem as a file says everything in a few lines ([every key](../docs/problem_file.md)). `missing` names texts that
# mean missing. There are three histories: of all that was shown, of clicks, of purchases. A history may read a label only if
# that is known at the time of its event, which `known_at_event` says.
#
# Derived features are computed from the histories of each example, in training and in the served model by the same code:
# `history` counts events and how long ago they were, `match` counts those that agree with the example (same item, same topic),
# `time_part` takes hour and weekday of the example.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
(folder / "problem.yaml").write_text(
    """name: shop
keys: {user: user_id, time: time}
missing: ["N/A"]
features:
  - {kind: categorical, name: user_id, min_count: 2, side: user}
  - {kind: categorical, name: country, side: user}
  - {kind: categorical, name: item_id, min_count: 2, side: item}
  - {kind: categorical, name: topic, side: item}
  - {kind: numeric, name: price, transform: log_z_score, side: item}
  - {kind: categorical, name: device}
  - {kind: history, of: clicked}
  - {kind: match, of: clicked, 'on': [topic, item_id]}
  - {kind: match, of: bought, 'on': [topic]}
  - {kind: time_part, part: [hour, weekday]}
sequences:
  - {name: shown, columns: [item_id, topic], max_length: 20}
  - {name: clicked, columns: [item_id, topic], when: click == 1, max_length: 20}
  - {name: bought, columns: [item_id, topic], when: buy == 1, max_length: 10}
tasks:
  - {kind: binary, name: click, known_at_event: true}
  - {kind: binary, name: buy, parent: click, known_at_event: true}
split: {by: time, valid: 0.1, test: 0.1}
"""
)
data = tfmtl.prepare(log, folder / "problem.yaml")
data

# %% [markdown]
# ## The rows that could not be read
#
# They are not in the data, they are counted above, and here they are: with the reason, and the number of the row, so that
# `log.iloc[row]` is the row itself.

# %%
pd.DataFrame(data.rejected()).head()

# %% [markdown]
# ## What the model sees
#
# A batch holds ids for categorical features, scaled numbers, and for each sequence the ids of its events, padded in front
# or behind. An example's history ends before its own time: what happens at the same second is not in it.

# %%
features, labels = next(iter(data.train(4)))
pd.Series({name: tuple(value.shape) for name, value in features.items()}, name="shape").to_frame()

# %% [markdown]
# ## The same from files
#
# `prepare` takes paths too, and gives the same records as for a frame of the same rows. It is what `tfmtl preprocess` does
# with Beam or Spark on many machines; the folders are the same.

# %%
log.to_parquet(folder / "log.parquet")
from_file = tfmtl.prepare(folder / "log.parquet", folder / "problem.yaml")
print("the same data:", from_file.digest == data.digest)

# %% [markdown]
# ## Do the derived features help?
#
# The same small model with and without them.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt

plain = replace(data.problem, features=tuple(f for f in data.problem.features if f.kind not in ("history", "match")))
without = tfmtl.prepare(log, plain)
found = {}
for name, each in {"with": data, "without": without}.items():
    keras.utils.set_random_seed(0)
    model = tfmtl.models.shared_bottom(each.inputs, hidden_units=(32,), tower_units=(16,))
    model.compile()
    model.fit(each.train(256), epochs=2, verbose=0)
    found[name] = tfmtl.evaluate(model, each)
found["with"]

# %%
tasks = list(found["with"])
for offset, (name, report) in zip((-0.2, 0.2), found.items(), strict=True):
    plt.bar(
        np.arange(len(tasks)) + offset, [report[task]["auc"] for task in tasks], 0.4, label=f"{name} derived features"
    )
plt.xticks(range(len(tasks)), tasks)
plt.ylabel("AUC, test split")
plt.ylim(0.5, None)
plt.legend(frameon=False)
plt.show()
