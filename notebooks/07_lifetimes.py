# %% [markdown]
# # Lifetimes, texts and pictures
#
# How long will an ad run? Most ads of a log still run when it ends: of them only a lower bound is known. A survival task learns
# from both, beside a task of another kind. At the end the ads have titles and banners that say how long.

# %% tags=["parameters"]
ROWS, EPOCHS, ADS, ADS_EPOCHS = 6_000, 6, 4_000, 8

# %%
import keras
import numpy as np
import pandas as pd

import tfmtl

keras.utils.set_random_seed(0)
draw = np.random.default_rng(0)
genre, quality = draw.integers(0, 4, ROWS), draw.normal(size=ROWS)
life = draw.exponential(np.exp(2.0 + 0.7 * quality + 0.4 * (genre - 1.5)))
observed = draw.exponential(15.0, ROWS)  # how long each could be watched
log = pd.DataFrame(
    {
        "genre": [f"g{number}" for number in genre],
        "quality": quality,
        "click": (quality + draw.normal(size=ROWS) > 0).astype(int),
        "days": np.minimum(life, observed).round(2),
        "stopped": (life <= observed).astype(int),
    }
)
print(f"{1.0 - log['stopped'].mean():.0%} still ran when they were last seen")
log.head()

# %% [markdown]
# ## Kaplan-Meier
#
# The share that lives longer than each time, with the running ones accounted for. Their mean would be wrong: it takes the last look
# at a running ad for its end.

# %%
import matplotlib.pyplot as plt

from tfmtl.survival import kaplan_meier

times = np.linspace(0.0, 30.0, 121)
for name, part in log.groupby("genre"):
    plt.step(times, kaplan_meier(part["days"], part["stopped"]).at(times), where="post", label=name)
plt.xlabel("days")
plt.ylabel("share that still runs")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# ## The problem
#
# Two columns are the label: `time`, and `event`, which says whether it ended then. The proposal knows neither, so the task is
# written by hand; the label columns are left out of the features by being labels.

# %%
from tfmtl.schema import BinaryTask, CategoricalFeature, NumericFeature, Problem, Split, SurvivalTask

problem = Problem(
    "ads",
    features=(CategoricalFeature("genre"), NumericFeature("quality", transform="z_score")),
    tasks=(
        BinaryTask("click"),
        SurvivalTask("lifetime", time="days", event="stopped", survival_quantiles=12),
    ),
    split=Split(by="row", valid=0.1, test=0.2),
)
data = tfmtl.prepare(log, problem)
model = tfmtl.models.shared_bottom(data.inputs, hidden_units=(32,), tower_units=(16,))
model.compile()
history = model.fit(data.train(256), validation_data=data.valid(1024), epochs=EPOCHS, verbose=0)
tfmtl.report.curves_figure(history.history)

# %% [markdown]
# ## Is it right?
#
# The order of lifetimes (Harrell, Antolini), the probabilities (integrated Brier score, D-calibration), beside Kaplan-Meier for
# all as the constant.

# %%
tfmtl.evaluate(model, data)

# %% [markdown]
# ## Curves

# %%
predicted = tfmtl.training.predict(model, data, "test")["predictions"]
{name: values.shape for name, values in predicted.items()}

# %%
edges = data.manifest["fitted_labels"]["lifetime"]["edges"]
survival = predicted["lifetime__survival"]
order = np.argsort(predicted["lifetime"])
for place, name in ((0.05, "short"), (0.5, "middle"), (0.95, "long")):
    row = order[int(place * len(order))]
    plt.plot([0.0, *edges], [1.0, *survival[row]], marker="o", markersize=3, label=f"{name} lifetime expected")
plt.xlabel("days")
plt.ylabel("probability to live longer")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Texts and pictures
#
# Made-up ads whose hazards are known. Of a title only the order of its words matters, of a banner only the shape, wherever it is and
# whatever its colors: no count of words and no mean of pixels says anything.

# %%
import io

from tfmtl.pipelines.datasets.creatives import best_c, creatives_log

ads = creatives_log(number=ADS)
figure, panels = plt.subplots(1, 4, figsize=(10, 2.6))
for panel, ad in zip(panels, ads.slice(0, 4).to_pylist(), strict=True):
    panel.imshow(plt.imread(io.BytesIO(ad["banner"])))
    words, when = ad["title"].split(), "stopped" if ad["stopped"] else "ran on"
    panel.set_title(f"{' '.join(words[:6])}\n{' '.join(words[6:])}\n{when} after {ad['days']:.0f} days", fontsize=7)
    panel.axis("off")
plt.show()

# %% [markdown]
# ## Encoders are part of the features
#
# `text` cuts titles into words and learns their vocabulary; the convolution reads them in their order. `image` decodes, resizes and
# stores the pixels once, when the log is read; a small network of convolutions is trained with the rest. Both are fields like any
# other, so every preset takes them; `creative` concatenates what the encoders give.

# %%
from tfmtl.schema import ImageFeature, TextFeature

problem = Problem(
    "ads",
    features=(
        TextFeature("title", tokens="words", encoder="convolution", max_length=16, dim=32, side="item"),
        ImageFeature("banner", height=24, width=24, dim=32, side="item"),
        CategoricalFeature("genre", side="item"),
        NumericFeature("ctr", transform="both", side="item"),
    ),
    tasks=(SurvivalTask("lifetime", time="days", event="stopped", intervals=(1, 3, 7, 27, 57, 87, 117)),),
    split=Split(by="column", column="split"),
)
data = tfmtl.prepare(ads, problem)
keras.utils.set_random_seed(0)
model = tfmtl.models.creative(data.inputs, hidden_units=(64,), dropout=0.1)
model.compile(optimizer=keras.optimizers.Adam(2e-3))
model.fit(data.train(128), validation_data=data.valid(1024), epochs=ADS_EPOCHS, verbose=0)
tfmtl.evaluate(model, data)

# %% [markdown]
# The hazards are known, so the best c-index that any model can expect is, too. What does the model lose where one feature's values are
# shuffled among the ads?

# %%
from tfmtl.training.permutation_importance import permutation_importance

print(f"no model can expect a Harrell c above {best_c(ads):.3f} on the test split")
lost = permutation_importance(model, data)["lifetime"]
plt.barh(list(lost)[::-1], list(lost.values())[::-1])
plt.xlabel("rise of the NLL where it is shuffled, test split")
plt.show()
