"""What the project's pages share: the look, and the ways to put text into a page unharmed."""
