"""Text: normalizers, letter case, tokenizers."""
