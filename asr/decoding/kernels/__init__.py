"""The compiled kernels of the beam search."""
