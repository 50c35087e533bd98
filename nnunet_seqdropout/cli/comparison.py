"""Defines the sub-command ``compare``."""

import argparse
from pathlib import Path

from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import output
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE
from nnunet_seqdropout.cli.process.outputs import alone_in_output


def add_commands(commands: "argparse._SubParsersAction") -> None:
    compare = add_command(
        commands,
        "compare",
        "compare two models on the same patients: tests, figures, report",
        "seqdropout compare evaluation_a evaluation_b -o comparison",
    )
    compare.add_argument("a", type=Path, metavar="OUT_A", help="output folder of seqdropout evaluate")
    compare.add_argument(
        "b", type=Path, metavar="OUT_B", help="output folder of seqdropout evaluate for the other model"
    )
    compare.add_argument(
        "-o", type=output, required=True, metavar="OUT", help="output folder for table, figures and report"
    )
    compare.add_argument("--allow-missing", action="store_true", help="ignore patients that only one model has")
    compare.set_defaults(run=_compare)


@alone_in_output(report_of="compare")
def _compare(arguments: argparse.Namespace) -> int:
    from dataset_conversion.files.staging import staged
    from dataset_conversion.files.texts.csv_files import write_csv
    from evaluation.figures.evaluation import write_figures
    from evaluation.report.evaluation import write_report
    from evaluation.tables.comparison import compare
    from evaluation.tables.results import read_evaluation

    a, b = (read_evaluation(folder) for folder in (arguments.a, arguments.b))
    table = compare(a, b, allow_missing=arguments.allow_missing)
    with staged(arguments.o) as stage:
        write_csv(table, stage / "comparison.csv")
        write_figures(stage, [a, b])
        write_report(stage, [a, b], comparison=table)
    print(f"a: {a.name}, b: {b.name}")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="n/a"))
    print(f"Report: {arguments.o / 'report.html'}")
    return ALL_DONE
