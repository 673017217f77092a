# %% [markdown]
# # Two stages: retrieval and ranking in one SavedModel
#
# A ranking model scores the candidates that it is given. Here a first stage finds them: a two-tower model (TensorFlow Recommenders)
# searches all items for those near a user. Both become one SavedModel: a user in, the best items out. Retrieval needs
# `pip install 'tfmtl[retrieval]'`.

# %% tags=["parameters"]
ROWS, EPOCHS, RETRIEVAL_EPOCHS = 20_000, 2, 6

# %%
import json
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pandas as pd
from shop_log import shop_log

import tfmtl
from tfmtl.export import export, verify
from tfmtl.retrieval import (
    ComposeOptions,
    RetrievalOptions,
    compose,
    fit_retrieval,
    training_items,
    two_stage_quality,
)

folder = Path(tempfile.mkdtemp())
log = shop_log(ROWS, users=200).drop(columns="watch_seconds")
description = tfmtl.propose(log, ["click", "buy"], user="user_id", time="time", item="item_id", name="shop").to_dict()
pd.DataFrame(description["features"])

# %% [markdown]
# ## The problem
#
# The towers see a user and an item apart. What is derived of both together (`match`) only the ranking can use, and only from raw
# requests, so that orders could not be compared below: it is left out, and with it the other derived features, to keep this short. The
# sequence that was proposed holds all that was shown; here it holds the clicks.

# %%
description["features"] = [each for each in description["features"] if each["kind"] in ("categorical", "numeric")]
description["tasks"] = [
    {"kind": "binary", "name": "click", "known_at_event": True},
    {"kind": "binary", "name": "buy", "parent": "click"},
]
description["sequences"] = [
    {"name": "clicked", "columns": ["item_id", "topic"], "when": "click == 1", "max_length": 20}
]
data = tfmtl.prepare(log, tfmtl.schema.Problem.from_dict(description))
data

# %% [markdown]
# ## The ranking
#
# Any model of this package, exported as always.

# %%
keras.utils.set_random_seed(0)
model = tfmtl.models.shared_bottom(data.inputs, hidden_units=(32,), tower_units=(16,))
model.compile()
model.fit(data.train(256), validation_data=data.valid(1024), epochs=EPOCHS, verbose=0)
ranking = export(model, data, folder / "ranking")
tfmtl.evaluate(model, data)

# %% [markdown]
# ## The retrieval
#
# It learns the pairs of user and item that were clicked, and indexes all items of the training split, each with the features that
# it had last. Records of training hold no raw features, so the log is read once more for them.

# %%
items = training_items(data, log)
items.to_pandas().head()

# %% [markdown]
# TFRS needs Keras 2 and trains in a process of its own; this one keeps Keras 3. The epoch with the best recall@50 on the
# validation split is kept. Each click of a split is a question: is its item among the `k` best? In this shop everyone is shown the
# same few items most of the time, and the towers are hardly better than the most popular items. Where people choose for themselves
# they are: recall@10 .143 for .061 on MovieLens-100K.

# %%
options = RetrievalOptions(epochs=RETRIEVAL_EPOCHS, dim=16, hidden_units=(32,), batch_size=256)
retrieval = fit_retrieval(data, items, folder / "retrieval", options)
record = json.loads((retrieval / "assets.extra" / "retrieval.json").read_text())
pd.DataFrame(record["recall"]["test"]).T.round(3)

# %%
pd.DataFrame(record["epochs"]).set_index("epoch")[["recall@10", "recall@50"]].plot(figsize=(8, 3))
for k, style in ((10, ":"), (50, "--")):
    level = record["recall"]["valid"]["popularity"][f"recall@{k}"]
    plt.axhline(level, color="gray", linestyle=style, linewidth=0.8, label=f"popularity, recall@{k}")
plt.ylabel("validation split")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What orders the list?
#
# The ranking saw what was shown, retrieval is asked for all items, so it is not plain which of them orders best. An order is an
# expression over the tasks and `retrieval`, the candidate's probability by the first stage. It is chosen on the
# validation split, and looked at once on the test split.

# %%
orders = ["retrieval", "click", "click*retrieval"]
common = {"candidates": 50, "k": 10, "queries": 300}
quality = {
    split: two_stage_quality(model, data, retrieval, orders, split=split, **common) for split in ("valid", "test")
}
table = pd.concat({split: pd.DataFrame(found["orders"]).T for split, found in quality.items()}, axis=1).round(3)
chosen = max(orders, key=lambda order: quality["valid"]["orders"][order]["ndcg"])
print(f"chosen on validation: {chosen}")
table

# %% [markdown]
# ## One SavedModel
#
# `compose` refuses stages that do not belong together. `check=verify` answers for real users in a fresh process, and compares with one
# stage called after the other; only then does the version appear in its folder.

# %%
joined = ComposeOptions(order_by=chosen, candidates=50)
version = compose(retrieval, ranking, folder / "two_stages", options=joined, check=lambda path: print(verify(path)))
sorted(path.name for path in version.iterdir())

# %% [markdown]
# ## Ask it
#
# The signature `recommend` takes what `rank` takes of a user, and `k`. `tfmtl serve two_stages` or TF Serving load the same folder.

# %%
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient

body = json.loads((version / "assets.extra" / "requests" / "recommend.json").read_text())
with LocalServer(folder / "two_stages", "shop", grpc_port=0, rest_port=0) as server:
    client = RestClient(f"127.0.0.1:{server.rest_port}", "shop")
    answer = client.predict({**body["inputs"], "k": 5}, signature_name="recommend")
    client.close()
best = pd.DataFrame({name: values[0] for name, values in answer.items()})
best["item_id"] = best["item_id"].str.decode("utf-8")
best.merge(items.to_pandas()[["item_id", "topic", "price"]], on="item_id").round(4)

# %%
clicked = body["inputs"]["clicked__topic"][0]
print("topics that this user clicked before:", ", ".join(topic for topic in clicked if topic) or "none")
