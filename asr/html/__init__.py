"""What the pages share: files filled in, data as script, hashes for a content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Any


def read_page(name: str, package: str = "asr.html") -> str:
    """A file of a page, by the package that it lies in."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def fill(page: str, values: dict[str, str]) -> str:
    """`page` with each `{{name}}` replaced by its value; what stands in a value is left alone."""
    head, *rest = page.split("{{")
    parts = [head]
    for part in rest:
        name, _, tail = part.partition("}}")
        parts += [values[name], tail]
    return "".join(parts)


def as_script_data(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def policy_hash(text: str) -> str:
    """What a content security policy calls the script or style with exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
