"""Values read alike from files, frames and requests, with one spelling for each. Needs Arrow, not TensorFlow."""
