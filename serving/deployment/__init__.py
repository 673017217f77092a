"""Files for running exported models under TF Serving."""

from tfmtl.schema.extras import need_extra

need_extra("deploy-files", "server", "tensorflow_serving")
