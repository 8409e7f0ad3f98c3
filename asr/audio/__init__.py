"""Recordings: read, probe, resample, cut."""
