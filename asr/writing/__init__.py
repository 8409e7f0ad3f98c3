"""Learning to write: what texts sound like to the acoustic model, and the scribe that learns from it."""
