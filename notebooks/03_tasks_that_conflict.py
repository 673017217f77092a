# %% [markdown]
# # Tasks that conflict: balancing, a monitor, flat minima
#
# In this shop cheap things are clicked less and bought more. One network for all tasks may be pulled in two directions. Here is
# how to see it, and what can be done.

# %% tags=["parameters"]
ROWS, EPOCHS = 10_000, 2

# %%
import json
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pandas as pd
from shop_log import shop_log

import tfmtl
from tfmtl.training import ConflictMonitor

labels = ["click", "buy", "watch_seconds"]
log = shop_log(ROWS)
proposed = tfmtl.propose(log, labels=labels, user="user_id", time="time", item="item_id", name="shop")
description = proposed.to_dict()
description["tasks"] = [
    {"kind": "binary", "name": "click"},
    {"kind": "binary", "name": "buy"},
    {"kind": "regression", "name": "watch_seconds", "sample_space": "click == 1"},
]
data = tfmtl.prepare(log, tfmtl.schema.Problem.from_dict(description))


def trained(callbacks=(), **choices):
    """A small MMoE, compiled with the choices and trained."""
    keras.utils.set_random_seed(0)
    model = tfmtl.models.mmoe(data.inputs, num_experts=3, hidden_units=(32,), tower_units=(16,))
    model.compile(**choices)
    model.fit(data.train(256), epochs=EPOCHS, verbose=0, callbacks=list(callbacks))
    return model


# %% [markdown]
# ## Watching
#
# `ConflictMonitor` is a Keras callback. It measures on the same rows again and again: the cosines between the tasks' gradients
# at what they share (below 0 they pull apart), how every gate uses the experts, which embeddings have died. It changes nothing.
# In the run stored here purchases and seconds pull apart at first; by the end all three agree.

# %%
folder = Path(tempfile.mkdtemp())
plain = trained([ConflictMonitor(data, folder, every=max(1, ROWS // 2500))])
records = [json.loads(line) for line in (folder / "conflict.jsonl").read_text().splitlines()]
cosines = pd.DataFrame([record["cosines"] for record in records], index=[record["step"] for record in records])
cosines.plot(figsize=(8, 3), xlabel="step", ylabel="cosine of gradients")
plt.axhline(0.0, color="gray", linewidth=0.8)
plt.show()

# %%
pd.DataFrame(records[-1]["gates"]["level 1"]).T.round(3)

# %% [markdown]
# ## Balancing
#
# `compile(balancing=...)` takes a name or an object of `tfmtl.balancing`. Some weigh the losses (`uncertainty`, `dwa`, `famo`);
# others read the tasks' gradients and find a direction that hurts none (`pcgrad`, `cagrad`, `nash_mtl`, `aligned_mtl`,
# `upgrad`). The latter cost a backward pass a task, or about a plain step with `balance_at="representation"`.

# %%
sorted(tfmtl.balancing.BALANCERS)

# %%
models = {
    "plain": plain,
    "uncertainty": trained(balancing="uncertainty"),
    "pcgrad": trained(balancing="pcgrad", balance_at="representation"),
}

# %% [markdown]
# ## Flat minima
#
# `sharpness="sam"` takes each step's gradient at the worst point nearby, which costs a second pass: what it finds shall
# generalize better. It goes together with balancing. Here, after two epochs, it is behind.

# %%
models["sam"] = trained(sharpness="sam")
rows = {}
for name, model in models.items():
    report = tfmtl.evaluate(model, data)
    rows[name] = {
        "click AUC": report["click"]["auc"],
        "buy AUC": report["buy"]["auc"],
        "watch RMSE": report["watch_seconds"]["rmse"],
    }
pd.DataFrame(rows).T.round(4)

# %% [markdown]
# Balancing changes little here, as the tasks agree in the end: look at the monitor before you pay for a balancer. And this is
# one seed and a small log: such differences may be chance. `tfmtl evaluate --baseline` compares two runs over the rows, with
# intervals, and the results in [docs/results](../docs/results/README.md) are over several seeds.
