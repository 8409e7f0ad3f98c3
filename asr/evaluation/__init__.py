"""Evaluating a recognizer: decode a manifest and score it."""
