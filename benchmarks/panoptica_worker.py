"""Runs under an interpreter that has panoptica; imports nothing of this project.

python panoptica_worker.py REFERENCE.npy PROBABILITY.npy THRESHOLD    one evaluation and its seconds per line read
python panoptica_worker.py --config FILE                              writes the configuration for panopticacli
"""

import contextlib
import io
import sys
import time

import numpy as np
from panoptica import ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator
from panoptica.metrics import Metric

evaluator = Panoptica_Evaluator(
    expected_input=InputType.SEMANTIC,
    instance_approximator=ConnectedComponentsInstanceApproximator(),
    instance_matcher=NaiveThresholdMatching(matching_threshold=0.0, strict_threshold=True, allow_many_to_one=True),
    instance_metrics=[Metric.DSC],
    global_metrics=[Metric.DSC],
)
if sys.argv[1] == "--config":
    evaluator.save_to_config(sys.argv[2])
    sys.exit()
reference = np.load(sys.argv[1]).astype(np.uint8)
probability = np.load(sys.argv[2])
for _ in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        result = evaluator.evaluate((probability >= float(sys.argv[3])).astype(np.uint8), reference)
        for group in result.values():
            group.to_dict()
        seconds = time.perf_counter() - started
    print(seconds, flush=True)
