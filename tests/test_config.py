"""Configuration files and overrides: what cannot be read is told as such."""

import pytest

from asr.config import apply_overrides, read_yaml
from asr.errors import UsageError


@pytest.mark.parametrize("value", ["2024-13-45", "0x_", "[" * 3000, "{", "\0"])
def test_what_is_no_yaml_is_named(tmp_path, value):
    path = tmp_path / "config.yaml"
    path.write_text(f"output: {value}")
    with pytest.raises(UsageError, match=r"config\.yaml cannot be read"):
        read_yaml(path)
    with pytest.raises(UsageError, match="the value is not valid YAML"):
        apply_overrides({}, [f"output={value}"])


def test_latin_1_is_named(tmp_path):
    (tmp_path / "config.yaml").write_bytes("output: café".encode("latin-1"))
    with pytest.raises(UsageError, match=r"config\.yaml cannot be read"):
        read_yaml(tmp_path / "config.yaml")
