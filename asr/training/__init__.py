"""What is trained: the tasks of the one training loop, and the life of a run."""
