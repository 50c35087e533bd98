"""Runs panoptica under an interpreter that has it installed; imports nothing of this project.

python panoptica_worker.py REFERENCE.npy PROBABILITY.npy THRESHOLD    for every line read, seconds: usual, Dice alone
python panoptica_worker.py --config FILE [--dice]                     writes the configuration for panopticacli
"""

import contextlib
import io
import sys
import time

import numpy as np
from panoptica import ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator
from panoptica.metrics import Metric

USUAL, DICE_ALONE = [Metric.DSC, Metric.IOU, Metric.ASSD, Metric.RVD], [Metric.DSC]
"""The metrics that panoptica computes unless told otherwise, and the least that it can be asked for."""


def evaluator(metrics: list[Metric]) -> Panoptica_Evaluator:
    return Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=NaiveThresholdMatching(matching_threshold=0.0, strict_threshold=True, allow_many_to_one=True),
        instance_metrics=metrics,
        global_metrics=DICE_ALONE,
    )


if sys.argv[1] == "--config":
    evaluator(DICE_ALONE if "--dice" in sys.argv else USUAL).save_to_config(sys.argv[2])
    sys.exit()
reference = np.load(sys.argv[1]).astype(np.uint8)
probability = np.load(sys.argv[2])
evaluators = [evaluator(metrics) for metrics in (USUAL, DICE_ALONE)]
for _ in sys.stdin:
    seconds = []
    for each in evaluators:
        with contextlib.redirect_stdout(io.StringIO()):
            started = time.perf_counter()
            for group in each.evaluate((probability >= float(sys.argv[3])).astype(np.uint8), reference).values():
                group.to_dict()
            seconds.append(time.perf_counter() - started)
    print(*seconds, flush=True)
