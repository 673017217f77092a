"""One spelling for every value, whatever type a file, a frame or a request stores it in. Needs Arrow, no TensorFlow."""
