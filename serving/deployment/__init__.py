"""Files for running exported models under TF Serving."""
