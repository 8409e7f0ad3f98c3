"""Language models: n-gram and recurrent."""
