"""Print the normalised training transcripts of an experiment, one a line: `transcripts.py CONFIG.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path

from asr.corpus.manifest import read_manifest
from asr.text.normalise import get_normaliser
from asr.training.run import read_experiment

experiment = read_experiment(Path(sys.argv[1]))
normalise = get_normaliser(experiment.normaliser)
for corpus in experiment.train:
    for utterance in read_manifest(corpus.manifest):
        print(normalise(utterance.text))
