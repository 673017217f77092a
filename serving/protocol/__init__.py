"""The protocol that server and clients share: tensors, signatures and messages as TF Serving has them."""
