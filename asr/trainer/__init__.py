"""The training loop: it knows modules, losses and time, and nothing of sound."""
