"""Alignment, WER, certainty and reports. Never imports torch."""
