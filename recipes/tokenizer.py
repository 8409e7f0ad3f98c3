"""Train an experiment's tokenizer on its transcripts: `tokenizer.py CONFIG.yaml [key.sub=value]...`.

`asr train` would do the same at its start; as a stage of its own it can be looked at before hours are spent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.cli.main import plain_errors
from asr.text.normalize import get_normalizer
from asr.training.data import read_texts, run_tokenizer
from asr.training.run import read_experiment

with plain_errors():
    experiment = read_experiment(Path(sys.argv[1]), sys.argv[2:])
    normalize = get_normalizer(experiment.normalizer)
    texts = [one.text for corpus in experiment.train for one in read_texts(corpus.manifest, normalize) if one.text]
    tokenizer = run_tokenizer(experiment.output, experiment.tokenizer, texts)
letters, pieces = sum(map(len, texts)), sum(len(tokenizer.encode(text)) for text in texts)
print(
    f"{experiment.output}: {len(tokenizer.vocabulary)} pieces; transcripts have {letters / pieces:.1f} letters a piece"
)
print("  " + " ".join(tokenizer.vocabulary[i] for i in tokenizer.encode(texts[0])))
