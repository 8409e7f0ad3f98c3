"""From log-probabilities to text: greedy and prefix beam search."""
