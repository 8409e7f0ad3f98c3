"""The training loop and the acoustic experiment."""
