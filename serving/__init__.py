"""A model server and clients that speak TF Serving's gRPC and REST APIs."""
