"""Train an experiment's tokenizer on its transcripts: `tokenizer.py CONFIG.yaml [key.sub=value]...`.

`asr train` would do the same at its start; as a stage of its own it can be looked at before hours are spent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.corpus.manifest import read_manifest
from asr.text.normalize import get_normalizer
from asr.training.acoustic import run_tokenizer
from asr.training.run import read_experiment

experiment = read_experiment(Path(sys.argv[1]), sys.argv[2:])
folder = experiment.output / "tokenizer"
normalize = get_normalizer(experiment.normalizer)
utterances = [utterance for corpus in experiment.train for utterance in read_manifest(corpus.manifest)]
texts = [text for utterance in utterances if (text := normalize(utterance.text))]
tokenizer = run_tokenizer(experiment, texts)
letters, pieces = sum(map(len, texts)), sum(len(tokenizer.encode(text)) for text in texts)
print(f"{folder}: {len(tokenizer.vocabulary)} pieces; the transcripts have {letters / pieces:.1f} letters a piece")
print("  " + " ".join(tokenizer.vocabulary[i] for i in tokenizer.encode(texts[0])))
