"""Runs the study of ten real gliomas, from a folder of BraTS cases to its report (docs/study/gliomas).

    python -m benchmarks.gliomas BRATS_FOLDER WORK_FOLDER

Halves the resolution, converts, and runs ``seqdropout study``; rerun it to resume an interrupted run.
"""

import argparse
import subprocess
from pathlib import Path

from benchmarks.halved import write_halved
from benchmarks.steps import use_folders

DATASET, NAME = "2", "Glioma2mm"
DESIGN = Path(__file__).parents[1] / "docs" / "study" / "gliomas.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder above the BraTS cases")
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    use_folders(work)
    write_halved(arguments.source, work / "brats_2mm")
    subprocess.run(["seqdropout", "convert", "brats", work / "brats_2mm", "-d", DATASET, "-n", NAME], check=True)
    study = ["seqdropout", "study", "-d", DATASET, "-o", work / "study", "--design", DESIGN, "-device", "cpu"]
    subprocess.run(study, check=True)


if __name__ == "__main__":
    main()
