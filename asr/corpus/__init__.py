"""Corpora: utterances, manifests, preparation, batches."""
