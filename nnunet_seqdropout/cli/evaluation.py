"""Defines the sub-command ``evaluate``."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of
from nnunet_seqdropout.cli.arguments.models import add_target, print_target, target_of
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import (
    add_fp_budget,
    add_given_threshold,
    add_method,
    add_min_volume,
    add_trust_geometry,
    given_thresholds,
    mapping,
    method_of,
    output,
    processes,
)
from nnunet_seqdropout.cli.process.exit_codes import exit_code
from nnunet_seqdropout.cli.process.outputs import alone_in_output

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome
    from evaluation.inputs.folders import Folders
    from evaluation.inputs.thresholds import Thresholds
    from evaluation.inputs.volumes import Volumes
    from evaluation.tables.case_results import Draw, Pictures


def add_commands(commands: "argparse._SubParsersAction") -> None:
    evaluate = add_command(
        commands,
        "evaluate",
        "evaluate one model on one cohort: tables, figures, report",
        "seqdropout evaluate -gt labels -p predictions -o evaluation -i images",
    )
    evaluate.add_argument("-gt", type=Path, required=True, metavar="DIR", help="folder of references: <case>.nii.gz")
    predictions = (
        "<case>_prob.nii.gz, <case>.npz beside <case>.nii.gz (nnU-Net's --save_probabilities), or <case>.nii.gz"
    )
    evaluate.add_argument("-p", type=Path, required=True, metavar="DIR", help=f"folder of predictions: {predictions}")
    evaluate.add_argument(
        "-o", type=output, required=True, metavar="OUT", help="output folder for tables, figures and report"
    )
    evaluate.add_argument("--name", metavar="N", help="name of the model in the report. Default: name of the -p folder")
    add_target(evaluate)
    threshold = evaluate.add_argument_group(
        "threshold: probability from which a voxel counts as predicted. Default: 0.5",
        description="With validation patients the table shows what both ways of choosing it give, --threshold-from and "
        "the paper's; pictures and all other tables are of the former.",
    )
    threshold.add_argument(
        "--val-gt", type=Path, metavar="DIR", help="references of validation patients, to calibrate the threshold on"
    )
    threshold.add_argument(
        "--val-p", type=Path, metavar="DIR", help="predictions of the validation patients, with probabilities"
    )
    method = threshold.add_mutually_exclusive_group()
    add_method(method)
    add_fp_budget(method)
    add_given_threshold(threshold, default="0.5")
    add_min_volume(evaluate)
    evaluate.add_argument(
        "--mask",
        type=Path,
        metavar="DIR",
        help="folder of masks (<case>.nii.gz), also of the validation patients; only voxels inside count",
    )
    add_trust_geometry(evaluate)
    evaluate.add_argument(
        "--map", type=mapping, default={}, metavar="255=1", help="replace label values: STORED=NEW,... Default: none"
    )
    evaluate.add_argument(
        "-i", type=Path, metavar="IMAGES", help="folder of images, to show slices of every patient in the report"
    )
    evaluate.add_argument(
        "--show",
        nargs="+",
        metavar="CASE",
        help="show slices of these patients alone: a page with those of many is large. Default: all",
    )
    evaluate.add_argument("--background", metavar="NAME", help="sequence shown behind the results. Default: t1_gd")
    evaluate.add_argument("--no-report", action="store_true", help="write the tables only")
    evaluate.add_argument("-np", type=processes, default=1, metavar="K", help="number of processes. Default: 1")
    evaluate.set_defaults(run=_evaluate)


@alone_in_output(report_of="evaluate")
def _evaluate(arguments: argparse.Namespace) -> int:
    from dataset_conversion.files.staging import staged
    from dataset_conversion.outcomes import Outcome
    from evaluation.inputs.folders import Folders, description_beside
    from evaluation.tables.evaluate import evaluate_folders

    description = description_beside(arguments.gt, arguments.p)
    target = target_of(arguments, description)
    print_target(target, description)
    folders = Folders(arguments.gt, arguments.p, target, arguments.mask, arguments.map, arguments.trust_geometry)
    draw = None
    if arguments.show and arguments.i is None:
        raise Fault("--show is given without -i", remedy="Give the folder of images with -i.")
    if arguments.i is not None and not arguments.no_report:
        from evaluation.figures.pictures.backgrounds import Backgrounds, patient_mosaic

        backgrounds = Backgrounds(arguments.i, folders.channel_names, arguments.background, arguments.trust_geometry)
        backgrounds.require_sequence()
        shown = folders.cases()
        if arguments.show:
            shown = _known(arguments.show, frozenset(shown))
        draw = partial(_drawn, shown=frozenset(shown), draw=partial(patient_mosaic, backgrounds=backgrounds))
    thresholds, beside, validation = _thresholds(arguments, folders)
    evaluation, mosaics = evaluate_folders(
        folders,
        name=arguments.name or arguments.p.resolve().name,
        thresholds=thresholds,
        beside=beside,
        min_volumes_mm3=arguments.min_volume_mm3,
        draw=draw,
        n_workers=arguments.np,
    )
    for case, outcome in validation.items():
        if outcome.status == "failed":
            evaluation.summary["cases"][f"validation {case}"] = asdict(outcome)
    with staged(arguments.o) as stage:
        evaluation.write(stage)
        if thresholds is not None:
            thresholds.write(stage / "thresholds.json")
        if not arguments.no_report:
            from evaluation.figures.evaluation import write_figures
            from evaluation.report.evaluation import write_report

            write_figures(stage, [evaluation])
            write_report(stage, [evaluation], mosaics=mosaics)
        _remove_results(arguments.o)
    for line in thresholds.described() if thresholds is not None else ():
        print(line)
    if not arguments.no_report:
        print(f"Report: {arguments.o / 'report.html'}")
    _print_metrics(evaluation.summary)
    return exit_code({case: Outcome(**outcome) for case, outcome in evaluation.summary["cases"].items()})


def _known(shown: list[str], cases: frozenset[str]) -> list[str]:
    if strangers := [case for case in shown if case not in cases]:
        remedy = "Name patients who have a reference, by the names of its files without their ending."
        raise Fault(f"--show names {', '.join(strangers)}: there is no such patient", remedy=remedy)
    return shown


def _drawn(case: str, volumes: "Volumes", *, shown: frozenset[str], draw: "Draw") -> "Pictures":
    """The pictures of the patients to be shown, nothing of others."""
    return draw(case, volumes) if case in shown else ()


def _remove_results(folder: Path) -> None:
    """Removes results of an earlier run that this run, whose own are complete, does not necessarily overwrite."""
    from evaluation.metrics.names import FIGURES
    from evaluation.tables.results import OPTIONAL_TABLES

    for name in ("thresholds.json", *(f"{table}.csv" for table in OPTIONAL_TABLES), "report.html"):
        (folder / name).unlink(missing_ok=True)
    for name in (*FIGURES, "fp_*mm3"):
        for file in (folder / "figures").glob(f"{name}.p[nd][gf]"):
            file.unlink()


def _thresholds(
    arguments: argparse.Namespace, folders: "Folders"
) -> "tuple[Thresholds | None, list[Thresholds], dict[str, Outcome]]":
    """The thresholds that the arguments specify, those shown beside them, and the outcomes of validation patients."""
    from evaluation.inputs.calibration import calibrate

    ways = {
        "--val-gt with --val-p": arguments.val_gt or arguments.val_p,
        "--threshold": arguments.threshold is not None,
        "--threshold-file": arguments.threshold_file,
    }
    if sum(map(bool, ways.values())) > 1:
        raise Fault("more than one kind of threshold is given", remedy=f"Choose one of {', '.join(ways)}.")
    chosen = arguments.fp_budget is not None or arguments.threshold_from
    if (arguments.val_gt is None) != (arguments.val_p is None) or (chosen and not arguments.val_p):
        raise Fault(
            "references or predictions of the validation patients are missing", remedy="Give both --val-gt and --val-p."
        )
    if arguments.val_p is None:
        return given_thresholds(arguments, folders.target), [], {}
    validation = replace(folders, reference=arguments.val_gt, predictions=arguments.val_p)
    folders.require_others_than(validation)
    found, outcomes = calibrate(validation, fp_budget=arguments.fp_budget, n_workers=arguments.np)
    applied = found.pop(method_of(arguments.threshold_from, arguments.fp_budget))
    return applied, list(found.values()), outcomes


def _print_metrics(summary: "Mapping[str, Any]") -> None:
    from evaluation.metrics.names import printed

    totals = summary["totals"]
    print(f"{summary['name']}: {n_of(totals['n_patients'], 'patient')}; threshold: {summary['threshold']['source']}")
    found = f"{totals['n_found']} of {n_of(totals['n_lesions'], 'lesion')} found"
    print(f"{found}, {n_of(totals['fp'], 'false positive')}")
    for metric, average in summary["metrics"].items():
        if average["n"]:
            undefined = f", undefined in {average['n_undefined']}" if average["n_undefined"] else ""
            mean, sd, low, high = (printed(average[name], metric) for name in ("mean", "sd", "ci_low", "ci_high"))
            spread = "" if average["n"] < 2 else f" ± {sd}  [{low}, {high}]"
            print(f"{metric:>22}  {mean:>8}{spread}{undefined}")
