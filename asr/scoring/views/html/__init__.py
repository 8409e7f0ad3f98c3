"""The self-contained HTML page: no network, no library, one file that opens from disk."""
