"""Punctuation and capitals for text that has neither: what is said of each word, and the network that says it."""
