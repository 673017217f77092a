# %% [markdown]
# # Export, rank, calibrate, serve, C++
#
# A trained model becomes one SavedModel that takes raw features. It holds the whole transformation, scores computed from the
# tasks, and calibrated probabilities; a server loads it as it is.

# %% tags=["parameters"]
ROWS, EPOCHS = 10_000, 2

# %%
import tempfile
from pathlib import Path

import keras
from shop_log import shop_log

import tfmtl
from tfmtl.export import ExportOptions, export, verify

keras.utils.set_random_seed(0)
log = shop_log(ROWS).drop(columns="watch_seconds")
problem = tfmtl.propose(log, ["click", "buy"], user="user_id", time="time", item="item_id", name="shop").problem
data = tfmtl.prepare(log, problem)
model = tfmtl.models.shared_bottom(data.inputs, hidden_units=(32,), tower_units=(16,))
model.compile()
model.fit(data.train(256), validation_data=data.valid(1024), epochs=EPOCHS, verbose=0)
tfmtl.evaluate(model, data)

# %% [markdown]
# ## Export
#
# `calibrate` fits a calibrator of a task to the validation split. `scores` adds outputs that are computed from the calibrated
# tasks, here one to rank by.

# %%
folder = Path(tempfile.mkdtemp()) / "shop"
options = ExportOptions(calibrate={"click": "isotonic", "buy": "platt"}, scores={"value": "click + 5*buy"})
version = export(model, data, folder, options=options)
sorted(path.name for path in (version / "assets.extra").iterdir())

# %%
from IPython.display import Image

Image(str(version / "assets.extra" / "reliability.png"), width=700)

# %% [markdown]
# ## Verify
#
# Real requests of the log are answered in a fresh process, and compared with what the training graph computes. A version that
# fails must not be deployed: `export(..., check=verify)` keeps it from appearing.

# %%
print(verify(version))

# %% [markdown]
# ## Serve
#
# `tfmtl serve shop` starts this server from the command line, with TF Serving's gRPC and REST interfaces; TF Serving itself
# loads the same folder. The clients load no TensorFlow.

# %%
import pandas as pd

from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient

server = LocalServer(folder, "shop", grpc_port=0, rest_port=0)
server.start()
client = RestClient(f"127.0.0.1:{server.rest_port}", "shop")
requests = [request["features"] for request in data.requests()[:5]]
pd.DataFrame(client.predict(requests)).round(4)

# %% [markdown]
# ## Rank
#
# `rank` takes the user once and many candidates: what belongs to the user and the moment is computed once. A candidate has the
# features of side `item`.

# %%
of_items = ["item_id", "topic", "price"]  # the features of side `item`
user = {name: value for name, value in requests[0].items() if name not in of_items}
items = log.drop_duplicates("item_id")[of_items].head(50)
ranked = client.rank(user, items.to_dict("records"))
best = items.assign(**ranked).sort_values("value", ascending=False).head()
client.close()
server.stop()
best

# %% [markdown]
# ## C++
#
# A service without Python loads the same folder: `replay.cc` (136 lines) calls `LoadSavedModel`, sends the requests that every export
# records, and compares with the answers that the training graph gave. It needs a compiler; headers and libraries lie in the
# tensorflow package. It prints, for each signature, the requests and the largest difference.

# %%
import shutil
import subprocess

import tensorflow as tf

import tfmtl.serving

source = Path(tfmtl.serving.__file__).parent / "cpp" / "replay.cc"
package = Path(tf.__file__).parent
libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
missing = [name for name in libraries if not (package / name).exists()]
missing += [] if shutil.which("g++") else ["g++"]
if missing:
    print("not tried, for this machine lacks", ", ".join(missing))
else:
    program = folder.parent / "replay"
    build = ["g++", "-O0", "-w", source, "-o", program, *tf.sysconfig.get_compile_flags(), f"-L{package}"]
    build += [f"-Wl,--no-as-needed,-rpath,{package}", *(f"-l:{name}" for name in libraries)]
    subprocess.run(build, check=True)
    ran = subprocess.run([program, version], capture_output=True, text=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    print(ran.stdout, "exit code", ran.returncode)
