"""The views of a report: terminal, JSON, CSV, NIST text, HTML. Each is a function of the report alone."""
