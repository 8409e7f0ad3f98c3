"""What each process of a two-process run does in `test_distributed`: python -m torch.distributed.run … this FOLDER."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from asr.errors import AsrError
from asr.trainer import distributed
from asr.trainer.trainer import Trainer
from tests.trainer.test_trainer import Line, config


class Alone(Line):
    """Only the leader may validate; whoever else is asked fails."""

    def validate(self) -> dict[str, float]:
        assert os.environ["RANK"] == "0"
        return super().validate()


def main(folder: Path) -> None:
    world = distributed.join_world()
    told: dict[str, object] = {}

    def trainer(name: str, task: Line, **changes: object) -> Trainer:
        return Trainer(task, config(**changes), folder / name, world, torch.device("cpu"))

    # The second process has a batch without a finite loss: both skip, and the leader names it.
    task = Alone(spoilt={(0, 1): "loss"})
    state = trainer("skip", task, epochs=1).run()
    told["skipped"] = state.skipped
    told["weights"] = [float(parameter.detach().sum()) for parameter in task.module.parameters()]
    # Only the leader knows the criteria, yet patience ends both.
    told["patience"] = trainer("patience", Alone(criteria=[0.1, 0.2, 0.3, 0.0]), epochs=4, patience=2).run().epoch
    # A signal that reaches one of them stops both after the same update.
    stopped = trainer("stop", Alone(), epochs=3)
    original = stopped.task.loss

    def loss(batch, generator):  # type: ignore[no-untyped-def]
        if world.rank == 1 and stopped.state.update == 3:
            signal.raise_signal(signal.SIGTERM)
        return original(batch, generator)

    stopped.task.loss = loss
    try:
        stopped.run()
    except KeyboardInterrupt:
        told["stopped"] = stopped.state.update
    try:
        trainer("end", Alone(spoilt={(0, 0): "loss", (0, 3): "loss"}), tolerated_skips=2).run()
    except AsrError as error:
        told["ended"] = error.message
    (folder / f"{world.rank}.json").write_text(json.dumps(told))
    distributed.wait_for_all(world)
    distributed.leave_world()
    # After so many groups of trainers the interpreter's own teardown may abort; it is not what is tested here.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
