"""The acoustic model: encoder, CTC, the saved model folder."""
