"""What server and clients both speak: tensors, signatures and messages as TF Serving has them."""
