"""Pack public books, with their punctuation and capitals, into arrays to train on.

    python recipes/punctuation/build_text.py MIRROR_DIR OUT_DIR --exclude HELD_OUT.npy [--words N]

MIRROR_DIR holds a git directory OWNER+NAME/repo (or repo/.git) for each repository of `sources.tsv`. OUT_DIR gets
`vocabulary.txt` (the word of number 1, 2, … a line each), `mixed.tsv`, `files.tsv` (what became of each file) and the
folders train, validation, test and excluded, each with `words.npy` (N,) uint32 and `labels.npy` (N,) uint8
(mark + 4 × case).

- By the CRC of its file name one book in 256 is for the test, one in 256 for validation; they are read first. A later
  file that shares a twentieth of its eight-grams (a sample) with them is left out, one that shares half with any
  earlier file as well.
- Books that share more than 10 eight-grams with HELD_OUT, what held_out.py writes of the evaluation texts, go to
  `excluded`: never learned from, they are the punctuated references of the evaluation speech. Elsewhere paragraphs
  that share one are left out.
- Paragraphs without an end (headings) are left out, and verse, tables, Roman numbers.
"""

from __future__ import annotations

import argparse
import html
import re
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from held_out import eight_grams, word_hash
from numpy.typing import NDArray
from punctuated import MIXED, Reader, fold, settle_capitals

U = np.uint64
SPLITS = ("train", "validation", "test", "excluded")
FUNCTION_WORDS = ("THE", "AND", "OF", "TO", "A", "IN", "THAT", "IT", "WAS", "HIS", "HE", "I", "WITH", "IS")
BOILER = ("gutenberg", "etext", "e-text", "ebook", "transcriber", "proofread", "http", "www.", "@", "copyright", "isbn")
START = re.compile(r"^.{0,12}(?:START OF TH(?:E|IS) PROJECT GUTENBERG|.{0,60}SMALL PRINT!?.{0,40}\*END\*).*$", re.M)
END = re.compile(r"^.{0,12}E(?:ND|nd) (?:OF|of) (?:The |the |this |THE |THIS )?P(?:ROJECT|roject) G.*$", re.M)
FINAL = re.compile(r"""[.!?,:;-]["')\]]*$""")
BLOCK = re.compile(r"(?i)</?(?:p|br|h[1-6]|div|head|lg|l|li|tr|td|blockquote|center|hr|table)\b[^>]*>")


def main() -> None:
    """Read all sources."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mirror", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--exclude", type=Path, required=True)
    parser.add_argument("--sources", type=Path, default=Path(__file__).with_name("sources.tsv"))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--words", type=float, default=1e9, help="stop when the training text has so many")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = [line.split("\t") for line in options.sources.read_text().splitlines() if line and not line.startswith("#")]
    rows = [row for row in rows if not options.only or row[1] in options.only]
    listed = [
        (split_of(path), git, path, blob, kind)
        for _, repository, commit, pattern, kind, _ in rows
        for git in [git_folder(options.mirror, repository)]
        for path, blob in listing(git, commit, pattern)
    ]
    # Held-out books first; then all sources mixed, so that any number of words is a sample of them.
    listed.sort(key=lambda each: (each[0] == "train", drawn(each[2])))
    builder = Builder(np.load(options.exclude))
    began = time.time()
    with (options.output / "files.tsv").open("w") as log:
        for number, (split, git, path, raw, kind) in enumerate(contents(listed)):
            what = builder.add(raw, kind, split)
            log.write(f"{split}\t{git}\t{path}\t{what}\n")
            if number % 100 == 0:
                sizes = ", ".join(f"{name} {sum(map(len, builder.words[name])) / 1e6:.1f} M" for name in SPLITS)
                print(f"{number}/{len(listed)} files, {time.time() - began:.0f} s: {sizes}", flush=True)
            if sum(map(len, builder.words["train"])) > options.words:
                break
    builder.save(options.output)


class Builder:
    """Reads files one after the other and remembers what has been."""

    def __init__(self, held_out: NDArray[np.uint64]) -> None:
        self.reader = Reader()
        self.held_out = held_out
        self.words: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in SPLITS}
        self.labels: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in SPLITS}
        self._hashes = np.zeros(1 << 22, U)
        self._hashed = 0
        self._seen: set[int] = set()
        self._test: set[int] = set()

    def add(self, raw: bytes, kind: str, split: str) -> str:
        """Read one file; says what became of it."""
        paragraphs = [read for text in prose(body(decode(raw), kind)) if (read := self.reader.read(text)) is not None]
        if sum(len(words) for words, _ in paragraphs) < 500:
            return "short"
        words = np.concatenate([words for words, _ in paragraphs])
        labels = np.concatenate([labels for _, labels in paragraphs])
        common = [self.reader.vocabulary.get(word, 0) for word in FUNCTION_WORDS]
        if np.isin(words, common).mean() < 0.2:
            return "not English"
        grams = eight_grams(self._word_hashes()[words])
        sample = set(grams[grams & U(63) == 0].tolist())
        if len(sample & self._seen) > 0.5 * len(sample):
            return "again"
        if split == "train" and len(sample & self._test) > 0.05 * len(sample):
            return "shares text with a held-out book"
        hits = np.flatnonzero(np.isin(grams, self.held_out))
        if len(np.unique(grams[hits])) > 10:
            split = "excluded"
        elif len(hits):
            paragraph = np.repeat(np.arange(len(paragraphs)), [len(each) for each, _ in paragraphs])
            bad = np.unique(np.concatenate([paragraph[hits], paragraph[hits + 7]]))
            keep = ~np.isin(paragraph, np.arange(bad.min(), bad.max() + 1) if len(bad) < 3 else bad)
            words, labels = words[keep], labels[keep]
        self._seen |= sample
        if split in ("test", "validation"):
            self._test |= sample
        self.words[split].append(words)
        self.labels[split].append(labels)
        return f"{split} {len(words)}"

    def save(self, folder: Path) -> None:
        """Settle what deserves capitals and write all."""
        packed = {n: (np.concatenate(self.words[n]), np.concatenate(self.labels[n])) for n in SPLITS if self.words[n]}
        if "train" not in packed:
            raise SystemExit(f"asr: no book to learn from; {folder / 'files.tsv'} says what became of each file")
        counts = np.zeros((len(self.reader.vocabulary) + 1, 4), np.int64)
        words, labels = packed["train"]
        for case in range(4):
            counts[:, case] = np.bincount(words[labels >> 2 == case], minlength=len(counts))
        for name, (words, labels) in packed.items():
            settle_capitals(words, labels, counts)
            (folder / name).mkdir(exist_ok=True)
            np.save(folder / name / "words.npy", words)
            np.save(folder / name / "labels.npy", labels)
        (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in self.reader.vocabulary))
        forms: dict[str, str] = {}
        for form, _ in sorted(self.reader.mixed.items(), key=lambda each: each[1]):
            forms[form.upper()] = form  # the most usual one stays
        numbers = self.reader.vocabulary
        rows = [
            f"{form}\t{counts[numbers[word], MIXED]}\t{counts[numbers[word]].sum()}\n" for word, form in forms.items()
        ]
        (folder / "mixed.tsv").write_text("".join(rows))

    def _word_hashes(self) -> NDArray[np.uint64]:
        """The hash of every word by its number, those of new words added."""
        names = list(self.reader.vocabulary)
        if len(names) >= len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros(len(names), U)])
        for number in range(self._hashed, len(names)):
            self._hashes[number + 1] = word_hash(names[number])
        self._hashed = len(names)
        return self._hashes


def split_of(path: str) -> str:
    """Held out by file name, whatever the folder: one in 256 for the test, one for validation."""
    return {0: "test", 1: "validation"}.get(drawn(path) % 256, "train")


def drawn(path: str) -> int:
    """A number that is drawn for a file, always the same."""
    return zlib.crc32(Path(path).name.encode())


def git_folder(mirror: Path, repository: str) -> Path:
    """The git directory of a mirrored repository."""
    folder = mirror / repository.replace("/", "+") / "repo"
    return folder / ".git" if (folder / ".git").is_dir() else folder


def listing(git: Path, commit: str, pattern: str) -> list[tuple[str, str]]:
    """Paths and blobs of a commit's files whose path matches."""
    command = ["git", f"--git-dir={git}", "ls-tree", "-r", "-z", commit]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode("utf-8", "replace")
    entries = [entry.split("\t", 1) for entry in output.split("\0") if entry]
    return [(path, head.split()[2]) for head, path in entries if re.search(pattern, path)]


def contents(files: list[tuple[str, Path, str, str, str]]) -> Iterator[tuple[str, str, str, bytes, str]]:
    """The files with the bytes of their blobs; what a partial mirror lacks is skipped."""
    readers: dict[Path, subprocess.Popen[bytes]] = {}
    for split, git, path, blob, kind in files:
        if git not in readers:
            command = ["git", f"--git-dir={git}", "cat-file", "--batch"]
            readers[git] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stdin, stdout = readers[git].stdin, readers[git].stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{blob}\n".encode())
        stdin.flush()
        header = stdout.readline().split()
        if header and header[-1] != b"missing":
            raw = stdout.read(int(header[2]))
            stdout.read(1)
            yield split, git.parent.name.removesuffix(".git") or str(git), path, raw, kind
    for reader in readers.values():
        reader.terminate()


def decode(raw: bytes) -> str:
    """Text of a file in UTF-8 or in what Windows wrote."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def body(text: str, kind: str) -> str:
    """The book without headers, licenses and markup; blank lines part the paragraphs."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if kind == "tei":
        text = re.sub(r"(?s)<teiHeader.*?</teiHeader>|<note\b.*?</note>|<back\b.*?</back>", " ", text)
    if kind in ("tei", "html"):
        text = re.sub(r"(?is)<(script|style|sup|title)\b.*?</\1>|<!--.*?-->", " ", text)
        return html.unescape(re.sub(r"<[^>]+>", "", BLOCK.sub("\n\n", text)))
    if kind == "markdown":
        text = re.sub(r"(?s)\A---\n.*?\n---\n", "", text)
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
        text = re.sub(r"^[#>]+ *", "", text, flags=re.M)
    starts = [match.end() for match in START.finditer(text[:60000])]
    text = text[max(starts, default=0) :]
    end = END.search(text, len(text) // 2)
    return text[: end.start()] if end else text


def prose(text: str) -> Iterator[str]:
    """Paragraphs that look like running text."""
    text = re.sub(r"\[[^\[\]]{0,600}\]", " ", fold(text))
    for paragraph in re.split(r"\n[ \t]*\n", text):
        paragraph = paragraph.strip()
        lines = paragraph.split("\n")
        letters = sum(map(paragraph.count, "etaoinsrhldu"))
        if letters < 0.45 * len(paragraph) or not FINAL.search(paragraph) or "|" in paragraph or ". . ." in paragraph:
            continue
        if len(lines) > 2 and sum(line.lstrip("\"'( ")[:1].isupper() for line in lines) > 0.8 * len(lines):
            continue  # verse
        if sum(map(str.isdigit, paragraph)) > 0.02 * len(paragraph) + 4:
            continue
        low = paragraph.lower()
        if not any(word in low for word in BOILER):
            yield " ".join(lines)


if __name__ == "__main__":
    main()
