"""The GRU that acoustic and language models share, made for speed on a CPU and on a GPU."""
