"""Defines the sub-command ``subsets``, which predicts and measures the same patients with every subset of sequences."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.sequences import Pattern, require_channel
from nnunet_seqdropout.cli.arguments.models import (
    add_model,
    add_target,
    add_threshold,
    load,
    named_model,
    print_target,
    print_threshold,
    target_of,
    thresholds_of,
)
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import add_min_volume, output
from nnunet_seqdropout.cli.process.exit_codes import exit_code
from nnunet_seqdropout.cli.process.outputs import alone_in_output
from nnunet_seqdropout.models.folders import description_of_model
from nnunet_seqdropout.subsets import Presence, subsets


def add_commands(commands: "argparse._SubParsersAction") -> None:
    parser = add_command(
        commands,
        "subsets",
        "predict and measure every subset of the sequences, to see how much each matters",
        "seqdropout subsets -i images -gt labels -o subsets -d 1 -tr SeqDropoutPlusTrainer",
    )
    parser.add_argument("-i", type=Path, required=True, metavar="IMAGES", help="folder of <case>_XXXX images")
    parser.add_argument("-gt", type=Path, required=True, metavar="DIR", help="folder of references: <case>.nii.gz")
    parser.add_argument(
        "-o", type=output, required=True, metavar="OUT", help="output folder for tables, heat map and report"
    )
    parser.add_argument(
        "--patterns", nargs="+", metavar="A+B", help="subsets to measure, such as t1_gd+flair. Default: all"
    )
    add_model(parser)
    add_target(parser)
    add_threshold(parser)
    add_min_volume(parser)
    parser.add_argument("--no-report", action="store_true", help="write tables and heat map only")
    parser.set_defaults(run=_subsets)


@alone_in_output(report_of="subsets")
def _subsets(arguments: argparse.Namespace) -> int:
    from dataset_conversion.files.staging import staged
    from evaluation.figures.heat_map import write_heat_map
    from nnunet_seqdropout.prediction.folder import preflight
    from nnunet_seqdropout.prediction.inputs import from_folder
    from nnunet_seqdropout.prediction.subset_table import Measurement, measure_subsets, threshold_of_each

    folder = named_model(arguments)
    description = description_of_model(folder)
    target = target_of(arguments, description)
    description.require_predicted(target.labels)
    names = description.channel_names
    cases = from_folder(arguments.i, channel_names=names, file_ending=description.file_ending)
    patterns = _patterns(arguments.patterns, names)
    thresholds, source = thresholds_of(arguments, folder, target)
    print_target(target, description)
    print_threshold(thresholds, source)
    threshold_of_each(thresholds, patterns, names)
    found = preflight(cases)
    how = Measurement(arguments.gt, target, thresholds, source, arguments.min_volume_mm3)
    results = measure_subsets(load(arguments, folder), found.cases, patterns, how, known_faulty=found.faulty)
    settings = {"i": str(arguments.i), **results.summary["settings"]}
    results = replace(results, summary={**results.summary, "settings": settings})
    with staged(arguments.o) as stage:
        results.write(stage)
        write_heat_map(stage, results.wide(), results.channel_names)
        if not arguments.no_report:
            from evaluation.report.subsets import write_subset_report

            write_subset_report(stage, results)
        (arguments.o / "report.html").unlink(missing_ok=True)
    if not arguments.no_report:
        print(f"Report: {arguments.o / 'report.html'}")
    print(results.wide().to_string(float_format=lambda value: f"{value:.3f}", na_rep="n/a"))
    return exit_code(results.outcomes)


def _patterns(named: Sequence[str] | None, channel_names: Sequence[str]) -> list[Presence]:
    """Those named, such as ``t1_gd+flair``, or all, the largest first."""
    if not named:
        return sorted(subsets([True] * len(channel_names)), key=lambda present: -sum(present))
    chosen = [{require_channel(name, channel_names) for name in Pattern.parse(shown)} for shown in named]
    return list(dict.fromkeys(tuple(channel in each for channel in range(len(channel_names))) for each in chosen))
