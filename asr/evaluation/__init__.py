"""Decode a manifest and score it."""
