"""Where everything lies in a model folder, the folder that `asr transcribe -m` reads.

| file                             | what it holds                                                            |
|----------------------------------|--------------------------------------------------------------------------|
| `config.json`                    | sizes of the network, text normalizer, how it was trained                |
| `model.safetensors`              | its weights                                                              |
| `tokenizer.json` (`.model`)      | its word pieces or characters                                            |
| `lexicon/`                       | pronunciations and the G2P model, of a network that has an output of phones |
| `phone_ngram.safetensors`        | how phones follow one another, of a network that was trained by CTC-CRF  |
| `lm.*`                           | the n-gram language model that the beam search weighs, if any            |
| `rnn/`                           | the recurrent language model that rescores its n-best list, if any       |
| `punctuation/`                   | the tagger for punctuation and capitals, if any                          |
| `decoding.json`                  | settings of the search, tuned for these language models                  |
| `confidence.json`                | the calibration of word confidences                                      |
| `README.md`                      | the model card                                                           |

Nobody else knows these names.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from asr.errors import ModelError, UsageError
from asr.io import write_whole

BUNDLED = Path(__file__).resolve().parents[1] / "pretrained"


def model_folder(name_or_path: Path | str | None = None) -> Path:
    """The folder of a model; None and "default" name the bundled one. Whether it is there is not asked."""
    return BUNDLED if name_or_path in (None, "default") else Path(str(name_or_path))


class ModelFolder:
    """Where in a model folder everything lies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        """Sizes of the network; the file without which a folder is no model."""
        self.weights = path / "model.safetensors"
        self.phone_ngram = path / "phone_ngram.safetensors"
        """The phone n-gram that CTC-CRF training goes on with."""
        self.decoding = path / "decoding.json"
        """The tuned settings of the search."""
        self.calibration = path / "confidence.json"
        """The calibration of word confidences."""

    @property
    def language_model(self) -> Path | None:
        """The n-gram language model, where there is one."""
        return next(iter(sorted(self.path.glob("lm.*"))), None)

    @property
    def rescorer(self) -> Path | None:
        """The folder of the recurrent language model, where there is one."""
        return self.path / "rnn" if (self.path / "rnn").is_dir() else None

    @property
    def punctuation(self) -> Path | None:
        """The folder of the tagger for punctuation and capitals, where there is one."""
        return self.path / "punctuation" if (self.path / "punctuation").is_dir() else None

    @property
    def is_bundled(self) -> bool:
        """Whether it is the installed package's own, which nobody rewrites in passing."""
        return self.path.resolve() == BUNDLED

    def acoustic_files(self) -> list[Path]:
        """The files that decide the emissions."""
        return sorted([*self.path.glob("model.*"), *self.path.glob("tokenizer.*"), self.config])

    def files(self) -> list[Path]:
        """Every file that decides a transcript, those of the folders within included; not the card."""
        found = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(path for path in found if path.suffix != ".md" and path.name[0] != ".")

    def check_copy(self, target: Path) -> None:
        """Raise `UsageError` where a model is in the folder `target` already, `ModelError` where none is here."""
        if not self.config.exists():
            raise ModelError(f"{self.path} is not a model folder")
        if (target / self.config.name).exists():
            raise UsageError(f"{target} already holds a model", "Choose another folder.")

    def copy_to(self, target: Path) -> ModelFolder:
        """The same model in another folder. Raises as `check_copy` does."""
        self.check_copy(target)
        for path in self.files():
            _copy_whole(path, target / path.relative_to(self.path))
        return ModelFolder(target)

    def install(self, language_model: Path | None = None, rescorer: Path | None = None) -> None:
        """Make language models the folder's own: a copy of an n-gram file, and of a recurrent model's folder."""
        if language_model is not None and not _same(language_model, self.language_model):
            former = self.language_model
            suffixes = "".join(
                language_model.suffixes[-2:] if language_model.suffix == ".gz" else [language_model.suffix]
            )
            _copy_whole(language_model, self.path / f"lm{suffixes}")
            if former is not None and former.name != f"lm{suffixes}":
                former.unlink()
        if rescorer is not None and not _same(rescorer, self.rescorer):
            shutil.rmtree(self.path / "rnn", ignore_errors=True)
            for path in sorted(path for path in rescorer.iterdir() if path.is_file()):
                _copy_whole(path, self.path / "rnn" / path.name)

    def install_those_of(self, origin: ModelFolder) -> None:
        """Make the language models of `origin`, the settings tuned for them and its punctuation the folder's own."""
        self.install(origin.language_model, origin.rescorer)
        for path in [origin.decoding, *(origin.punctuation.iterdir() if origin.punctuation else ())]:
            if path.is_file():
                _copy_whole(path, self.path / path.relative_to(origin.path))


def _same(path: Path, other: Path | None) -> bool:
    return other is not None and path.exists() and path.resolve() == other.resolve()


def _copy_whole(source: Path, target: Path) -> None:
    with source.open("rb") as reader, write_whole(target, "wb") as writer:
        shutil.copyfileobj(reader, writer)
