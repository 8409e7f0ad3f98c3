"""Evaluating a recogniser: decode a manifest and score it."""
