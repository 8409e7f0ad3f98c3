"""The alignment of NIST's `sclite`."""

from __future__ import annotations
