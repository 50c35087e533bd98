"""What every arm is trained on and given, worked out before anything is trained."""

from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from conftest import SEQUENCES
from example_study import ARMS, DESIGN, LIMITED, cohort

from dataset_conversion.faults import Fault
from nnunet_seqdropout.study.checks import require_possible
from nnunet_seqdropout.study.commands import prepare_study
from nnunet_seqdropout.study.design.design import Arm
from nnunet_seqdropout.study.folder import Machine, Study
from nnunet_seqdropout.study.report import _one_training


def commands(study: Study, stage: str) -> dict[str, list[str]]:
    steps = prepare_study(study).of(None)
    return {s.name: [" ".join([*command, *s.how]) for command in s.commands] for s in steps if s.stage == stage}


def test_the_dedicated_arm_is_trained_on_what_the_test_patients_have(tmp_path):
    study = Study(tmp_path / "out", DESIGN, cohort(tmp_path))
    assert study.available == {"as_acquired": LIMITED}
    trained = commands(study, "train")
    assert [line.split(" -p ")[0] for lines in trained.values() for line in lines] == [
        "nnUNetv2_train 15 2d 0 -tr SeqDropoutTrainer_study",
        "nnUNetv2_train 14 2d 0 -tr nnUNetTrainer_study",
        "nnUNetv2_train 15 2d 0 -tr nnUNetTrainer_study",
    ]


def test_the_threshold_is_that_of_images_without_what_no_test_patient_has(tmp_path):
    """The validation patient has bravo; the arms on all sequences must not be calibrated with it."""
    predicted = commands(Study(tmp_path / "out", DESIGN, cohort(tmp_path)), "predict")
    assert "--drop bravo" in predicted["predict/as_acquired/DropOut/val"][0]
    assert "--drop" not in predicted["predict/as_acquired/nnU-Net/val"][0]
    assert "--drop" not in predicted["predict/as_acquired/DropOut/test"][0]


def test_in_a_mixed_test_cohort_only_what_nobody_has_is_taken_from_validation(tmp_path):
    study = Study(tmp_path / "out", DESIGN, cohort(tmp_path, T=("t1_pre", "t1_gd")))
    assert study.available == {"as_acquired": ("t1_pre", "t1_gd")}
    assert study.absent_in_validation("as_acquired") == ("bravo",)


def test_a_test_pattern_that_no_validation_patient_covers_is_refused_before_training(tmp_path):
    with pytest.raises(Fault, match="test patient S"):
        require_possible(Study(tmp_path / "out", DESIGN, cohort(tmp_path, V=("t1_pre", "t1_gd"))))
    require_possible(
        Study(tmp_path / "out", replace(DESIGN, threshold="argmax"), cohort(tmp_path, V=("t1_pre", "t1_gd")))
    )


def test_validation_patients_alike_without_a_lesion_are_refused_before_training(tmp_path):
    """V and A validate. Bravo, which no test patient has, does not make V and A differ; t1_gd does."""
    design = replace(DESIGN, folds=(0, 1))
    without_lesion = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    for has, refused in ((LIMITED, False), (("bravo", "t1_pre", "flair"), True)):
        mixed = cohort(tmp_path, V=has)
        sitk.WriteImage(without_lesion, str(mixed.folder / "labelsTr" / "V.nii.gz"))
        if refused:
            with pytest.raises(Fault, match=r"no validation patient with flair, t1_pre \(those of V\) has a lesion"):
                require_possible(Study(tmp_path / "out", design, mixed))
            require_possible(Study(tmp_path / "out", replace(design, threshold=2), mixed))
        else:
            require_possible(Study(tmp_path / "out", design, mixed))


def test_a_scenario_takes_sequences_from_all_arms_alike(tmp_path):
    design = replace(DESIGN, scenarios={"as_acquired": (), "without_flair": ("flair",)})
    study = Study(tmp_path / "out", design, cohort(tmp_path))
    assert study.available["without_flair"] == ("t1_pre", "t1_gd")
    predicted = commands(study, "predict")
    assert predicted["predict/without_flair/DropOut/test"][0].count("--drop") == 1
    assert "--drop bravo --drop flair" in predicted["predict/without_flair/DropOut/val"][0]
    assert "--drop" not in predicted["predict/without_flair/nnU-Net/test"][0]
    assert len(commands(study, "train")) == 4  # one more dedicated model


def test_a_scenario_in_between_keeps_the_data_sets_of_the_others(tmp_path):
    one = Study(tmp_path / "out", DESIGN, cohort(tmp_path))
    more = {"without_flair": ("flair",), "as_acquired": ()}
    two = Study(tmp_path / "out", replace(DESIGN, scenarios=more), cohort(tmp_path))
    assert one.raw(LIMITED) == two.raw(LIMITED)
    assert {*commands(one, "train")} <= {*commands(two, "train")}


def test_arms_that_are_one_training_are_said_to_be(tmp_path):
    """Where the test patients lack nothing, what is dedicated to them is what would be given zeros."""
    incomplete = Study(tmp_path / "out", DESIGN, cohort(tmp_path))
    complete = Study(tmp_path / "other", DESIGN, cohort(tmp_path, S=SEQUENCES, T=SEQUENCES))
    assert list(_one_training(incomplete)) == []
    (warning,) = _one_training(complete)
    assert warning.startswith("nnU-Net and zeros are one and the same training")


def test_a_training_is_bound_to_who_validates_and_to_the_images(tmp_path):
    """nnU-Net's plans tell nothing of either."""
    data, changed = cohort(tmp_path), []
    for change in ("none", "splits", "image"):
        if change == "splits":
            data = replace(data, splits=[{"train": ["V", "B", "C", "D"], "val": ["A"]}])
        if change == "image":
            (data.folder / "imagesTr" / "C_0001.nii.gz").write_bytes(b"defaced")
        steps = prepare_study(Study(tmp_path / "out", DESIGN, data))
        changed.append(steps.fingerprint(next(step for step in steps.of("nnU-Net") if step.stage == "train")))
    assert len(set(changed)) == 3


def test_a_patient_who_validates_twice_is_refused(tmp_path):
    data = cohort(tmp_path)
    twice = replace(data, splits=[data.splits[0], {"train": ["B", "C", "D"], "val": ["V", "A"]}])
    require_possible(Study(tmp_path / "out", DESIGN, twice))
    with pytest.raises(Fault, match=r"V are validation patients in several of the folds"):
        require_possible(Study(tmp_path / "out", replace(DESIGN, folds=(0, 1)), twice))


def test_the_folder_of_another_data_sets_study_is_refused(tmp_path):
    prepare_study(Study(tmp_path / "out", DESIGN, cohort(tmp_path)))
    names = ("t1n", "t1c", "t2w", "t2f")
    data = cohort(tmp_path, **dict.fromkeys("ABCDVST", names))
    with pytest.raises(Fault, match=r"study of another data set, Dataset01._bravo.*Give another folder"):
        require_possible(Study(tmp_path / "out", DESIGN, replace(data, channel_names=names)))


def test_a_validation_patient_with_nothing_that_is_tested_is_refused(tmp_path):
    design = replace(DESIGN, folds=(0, 1))
    with pytest.raises(Fault, match="validation patient A has no sequence that any test patient has"):
        require_possible(Study(tmp_path / "out", design, cohort(tmp_path, A=("bravo",))))


def test_an_arm_with_dropout_on_what_is_available_has_its_own_table_of_subsets(tmp_path):
    arms = (*ARMS, Arm("DropOut_available", "SeqDropoutTrainer", "available"))
    study = Study(tmp_path / "out", replace(DESIGN, arms=arms), cohort(tmp_path))
    (line,) = commands(study, "subsets")["subsets/DropOut_available"]
    assert f"-i {study.images(LIMITED, 'test')} " in line
    assert "--patterns t1_pre+t1_gd+flair " in line


def test_an_arm_may_have_a_configuration_of_its_own(tmp_path):
    arms = (*ARMS, Arm("3D", "nnUNetTrainer", "available", configuration="3d_fullres"))
    study = Study(tmp_path / "out", replace(DESIGN, arms=arms), cohort(tmp_path))
    planned = commands(study, "plan")
    assert ["-c 2d 3d_fullres --verify" in line for lines in planned.values() for line in lines] == [False, True]
    name = f"train/nnUNetTrainer_study__3d_fullres/{study.raw(LIMITED).name}/fold_0"
    (line,) = commands(study, "train")[name]
    assert line.startswith("nnUNetv2_train 14 3d_fullres 0 -tr nnUNetTrainer_study")
    (line,) = commands(study, "predict")["predict/as_acquired/3D/test"]
    assert "nnUNetTrainer_study__nnUNetPlans__3d_fullres -f 0" in line


def test_every_seed_is_trained_predicted_and_measured_in_folders_of_its_own(tmp_path):
    """The second seed of DropOut; zeros keeps to the first, whose names are those of a study with one seed."""
    arms = (ARMS[0], ARMS[1], replace(ARMS[2], seeds=(0,)))
    study = Study(tmp_path / "out", replace(DESIGN, arms=arms, seeds=(0, 3)), cohort(tmp_path))
    one = prepare_study(Study(tmp_path / "one", DESIGN, cohort(tmp_path)))
    steps = prepare_study(study)
    assert [name for name in steps.steps if name in one.steps] == [*one.steps]
    raw = {name: study.raw(sequences).name for name, sequences in (("all", SEQUENCES), ("limited", LIMITED))}
    assert {*steps.steps} - {*one.steps} == {
        f"train/SeqDropoutTrainer_study_seed3/{raw['all']}/fold_0",
        f"train/nnUNetTrainer_study_seed3/{raw['limited']}/fold_0",
        *(f"predict/as_acquired/{arm}_seed3/{part}" for arm in ("DropOut", "nnU-Net") for part in ("val", "test")),
        "evaluate/as_acquired/lesion/DropOut_seed3",
        "evaluate/as_acquired/lesion/nnU-Net_seed3",
        "subsets/DropOut_seed3",
    }
    (trained,) = commands(study, "train")[f"train/SeqDropoutTrainer_study_seed3/{raw['all']}/fold_0"]
    assert trained.startswith("nnUNetv2_train 15 2d 0 -tr SeqDropoutTrainer_study_seed3 ")
    (predicted,) = commands(study, "predict")["predict/as_acquired/DropOut_seed3/test"]
    assert f"-o {study.folder}/predictions/as_acquired/DropOut_seed3/test " in predicted
    assert "/SeqDropoutTrainer_study_seed3__nnUNetPlans__2d " in predicted
    (evaluated,) = commands(study, "evaluate")["evaluate/as_acquired/lesion/DropOut_seed3"]
    assert f"-p {study.folder}/predictions/as_acquired/DropOut_seed3/test " in evaluated
    assert "--name DropOut_seed3 " in evaluated
    (measured,) = commands(study, "subsets")["subsets/DropOut_seed3"]
    assert f"--threshold-file {study.folder}/evaluations/as_acquired/lesion/DropOut_seed3/thresholds.json" in measured
    assert f"-o {study.folder}/subsets/DropOut_seed3/test " in measured
    assert steps.steps["subsets/DropOut_seed3"].outputs == [study.folder / "subsets" / "DropOut_seed3"]


def test_more_seeds_run_nothing_anew(tmp_path):
    steps = [
        prepare_study(Study(tmp_path / "out", replace(DESIGN, seeds=seeds), cohort(tmp_path)))
        for seeds in ((5,), (5, 0))
    ]
    before, after = ({name: s.fingerprint(step) for name, step in s.steps.items()} for s in steps)
    assert before.items() < after.items()


def test_one_arm_is_all_its_seeds(tmp_path):
    steps = prepare_study(Study(tmp_path / "out", replace(DESIGN, seeds=(0, 1)), cohort(tmp_path)))
    stages = [step.stage for step in steps.of("DropOut")]
    assert [stages.count(stage) for stage in ("plan", "train", "predict", "evaluate", "subsets")] == [1, 2, 4, 2, 2]


def test_arms_share_a_training_seed_by_seed(tmp_path):
    """Where the test patients lack nothing, nnU-Net and zeros are the same; zeros has seed 0 alone."""
    complete = cohort(tmp_path, S=SEQUENCES, T=SEQUENCES)
    arms = (*ARMS[:2], replace(ARMS[2], seeds=(0,)))
    study = Study(tmp_path / "out", replace(DESIGN, arms=arms, seeds=(0, 1)), complete)
    trained = [step for step in prepare_study(study).of(None) if step.stage == "train"]
    assert [sorted(step.arms) for step in trained] == [["DropOut"], ["DropOut"], ["nnU-Net", "zeros"], ["nnU-Net"]]
    assert list(_one_training(study)) == []
    (both,) = _one_training(Study(tmp_path / "out", replace(DESIGN, seeds=(0, 1)), complete))
    assert both.startswith("nnU-Net and zeros are one")


def test_in_cross_validation_each_patient_is_predicted_by_the_fold_that_did_not_see_him(tmp_path):
    design = replace(DESIGN, test="cross_validation", threshold="argmax", folds=(0, 1))
    study = Study(tmp_path / "out", design, cohort(tmp_path))
    assert study.test_cases == ("V", "A")
    first, second = commands(study, "predict")["predict/as_acquired/DropOut/test"]
    for line, fold, case in ((first, 0, "V"), (second, 1, "A")):
        assert f"-f {fold} " in line
        folder = Path(line.split("-i ")[1].split(" ")[0])
        assert sorted(file.name for file in folder.iterdir()) == [f"{case}_{i:04d}.nii.gz" for i in range(4)]
        assert case not in study.cohort.splits[fold]["train"]
    images = {part: study.images(study.cohort.channel_names, part) for part in ("val_0", "val_1")}
    measured = commands(study, "subsets")["subsets/DropOut"]
    assert [line.partition(" -m ")[0] for line in measured] == [
        f"seqdropout subsets -i {folder} -gt {study.references / 'test'} -o {study.subsets(study.runs[0], part)}"
        for part, folder in images.items()
    ]
    assert ["-f 0 " in line for line in measured] == [True, False]


def test_several_folds_are_an_ensemble_on_the_test_patients(tmp_path):
    study = Study(tmp_path / "out", replace(DESIGN, folds=(0, 1)), cohort(tmp_path))
    (line,) = commands(study, "predict")["predict/as_acquired/DropOut/test"]
    assert "-f 0 1 " in line
    assert len(commands(study, "predict")["predict/as_acquired/DropOut/val"]) == 2


@pytest.mark.parametrize(
    ("subset_tables", "measured"),
    [("every_seed", ["DropOut", "DropOut_seed3"]), ("first_seed", ["DropOut"]), ("none", [])],
)
def test_subsets_are_measured_with_the_seeds_that_the_design_says(tmp_path, subset_tables, measured):
    design = replace(DESIGN, seeds=(0, 3), subset_tables=subset_tables)
    study = Study(tmp_path / "out", design, cohort(tmp_path))
    assert [*commands(study, "subsets")] == [f"subsets/{name}" for name in measured]


def test_mirroring_is_that_of_the_design_for_all(tmp_path):
    for mirroring in (True, False):
        study = Study(tmp_path / "out", replace(DESIGN, mirroring=mirroring), cohort(tmp_path))
        lines = [c for stage in ("predict", "subsets") for found in commands(study, stage).values() for c in found]
        assert len(lines) == 7
        assert all(("--disable_tta" in line) != mirroring for line in lines)


def test_false_alarms_are_counted_above_one_limit_everywhere(tmp_path):
    study = Study(tmp_path / "out", replace(DESIGN, min_volume_mm3=2.5), cohort(tmp_path))
    lines = [c for stage in ("evaluate", "subsets") for found in commands(study, stage).values() for c in found]
    assert len(lines) == 4
    assert all("--min-volume-mm3 2.5" in line for line in lines)


def test_pictures_are_of_the_arms_own_images(tmp_path):
    """The limited data set numbers its sequences anew: t1_gd is its second channel."""
    study = Study(tmp_path / "out", replace(DESIGN, background="t1ce"), cohort(tmp_path))
    evaluated = commands(study, "evaluate")
    assert (
        f"-i {study.images(LIMITED, 'test')} --background t1_gd" in evaluated["evaluate/as_acquired/lesion/nnU-Net"][0]
    )
    assert (study.images(LIMITED, "test") / "S_0001.nii.gz").read_bytes() == b"S2"
    with pytest.raises(Fault, match=r"the data set has no sequence pet.*background: null"):
        require_possible(Study(tmp_path / "out", replace(DESIGN, background="pet"), cohort(tmp_path)))


def test_another_machine_makes_no_other_study(tmp_path):
    machines = Machine("cpu", 1, 2), Machine("cuda", 4, 8)
    prints = []
    for machine in machines:
        steps = prepare_study(Study(tmp_path / "out", DESIGN, cohort(tmp_path), machine))
        prints.append({step.name: steps.fingerprint(step) for step in steps.of(None)})
    assert prints[0] == prints[1]
    (line,) = commands(Study(tmp_path / "out", DESIGN, cohort(tmp_path), machines[1]), "train").popitem()[1]
    assert "-num_gpus 4" in line
    assert "-device cuda" in line
