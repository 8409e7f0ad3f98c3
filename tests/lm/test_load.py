"""Words wherever they stand: in a text, a manifest, a language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr.errors import DataError, ModelError
from asr.lm.load import read_words

LINES = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "-1\t<unk>", "-99\t<s>", "-1\t</s>", "-1\tCAT", "", "\\end\\"]


def test_words_of_a_text_a_manifest_and_a_language_model(tmp_path: Path) -> None:
    text, manifest, model = tmp_path / "text.txt", tmp_path / "some.jsonl", tmp_path / "lm.arpa"
    text.write_text("The cat, the café.\nA cat\n", encoding="utf-8")
    manifest.write_text(json.dumps({"id": "a", "audio_filepath": "a.wav", "duration": 1, "text": "A CAT SAT"}) + "\n")
    model.write_text("\n".join(LINES) + "\n")
    assert read_words(text) == ["THE", "CAT", "CAFE", "A"]
    assert read_words(manifest) == ["A", "CAT", "SAT"]
    assert read_words(model) == ["CAT"]
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        read_words(tmp_path / "nowhere.txt")
    with pytest.raises(ModelError, match=r"nowhere\.ngram"):
        read_words(tmp_path / "nowhere.ngram")
