"""Text: normalisers, letter case, tokenizers."""
