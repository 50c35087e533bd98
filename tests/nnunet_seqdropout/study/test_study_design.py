"""The design of a study is what its file says, and what it cannot be is refused."""

import pytest

from dataset_conversion.faults import Fault
from nnunet_seqdropout.study.design.design import BASES
from nnunet_seqdropout.study.design.design_file import SHIPPED, read_design
from nnunet_seqdropout.study.design.endpoint import Endpoint
from nnunet_seqdropout.study.runs import all_runs


def written(folder, text):
    file = folder / "design.yaml"
    file.write_text(text)
    return file


MINIMAL = """
reference: A
arms:
  A: {trainer: SeqDropoutTrainer, sequences: all}
  B: {trainer: nnUNetTrainer, sequences: available}
budget: {epochs: 2, slices_per_epoch: 30}
targets: {lesion: [1]}
"""


def test_the_papers_design_has_five_arms_on_one_budget():
    design = read_design(SHIPPED / "paper.yaml")
    assert design.names == ("DropOut", "DeepLabV3", "nnU-Net", "nnU-Net_zeros", "nnU-Net_DropOut")
    assert [arm.sequences for arm in design.arms] == ["all", "available", "available", "all", "all"]
    assert [arm.drops for arm in design.arms] == [True, False, False, False, True]
    assert (design.threshold, design.test, design.folds) == ("dice", "imagesTs", (0,))


def test_the_small_design_differs_in_nothing_but_size():
    paper, small = (read_design(SHIPPED / f"{name}.yaml") for name in ("paper", "small"))
    assert small.arms == paper.arms
    assert small.settings == {"backbone": "resnet18"}
    assert small.budget.epochs * small.budget.slices_per_epoch == 6000


def test_the_primary_endpoint_is_named_before_the_run(tmp_path):
    """Of the arms for the test patients alone stock nnU-Net is the one to keep up with."""
    paper = read_design(SHIPPED / "paper.yaml")
    assert paper.endpoint == Endpoint("lesion_f1", "as_acquired", "metastasis", "nnU-Net", 0.05)
    assert read_design(written(tmp_path, MINIMAL)).endpoint.dedicated == "B"
    named = read_design(written(tmp_path, MINIMAL + "primary: {metric: fp, dedicated: B, margin: 1}"))
    assert named.endpoint == Endpoint("fp", "as_acquired", "lesion", "B", 1)
    alone = MINIMAL.replace("sequences: available", "sequences: all")
    assert read_design(written(tmp_path, alone)).endpoint.dedicated is None


@pytest.mark.parametrize(
    ("primary", "problem"),
    [
        ("metric: lesion_f2", "invalid metric: lesion_f2. Choose among lesion_f1"),
        ("metric: n_lesions", "invalid metric: n_lesions"),
        ("scenario: x", "invalid scenario: x. Choose among as_acquired"),
        ("target: x", "invalid target: x. Choose among lesion"),
        ("dedicated: A", "invalid dedicated: A. Choose among B"),
        ("margin: 0", "primary.margin should be a number above 0 or null, and is 0"),
        ("margin: true", "primary.margin should be a number above 0 or null, and is true"),
        ("metric: fp", "fp is no share of 1 and has no default margin"),
        ("metric: hd95_mm", "hd95_mm is no share of 1 and has no default margin"),
        ("p: 1", "primary.p is no key that is known here: metric, scenario"),
    ],
)
def test_an_endpoint_that_no_study_has_is_refused(tmp_path, primary, problem):
    with pytest.raises(Fault, match=problem):
        read_design(written(tmp_path, MINIMAL + f"primary: {{{primary}}}"))


def test_a_design_takes_from_its_base_what_it_does_not_say(tmp_path):
    design = read_design(written(tmp_path, "base: paper\nseed: 7\nscenarios: {all: [], no_flair: [flair]}"))
    assert design.seeds == (7,)
    assert design.scenarios == {"all": (), "no_flair": ("flair",)}
    assert design.reference == "DropOut"


def test_an_arm_may_have_the_network_with_a_decoder(tmp_path):
    text = MINIMAL.replace("SeqDropoutTrainer", "SeqDropoutPlusTrainer").replace(
        "nnUNetTrainer", "DeepLabV3PlusTrainer"
    )
    design = read_design(written(tmp_path, text))
    assert [arm.trainer for arm in design.arms] == ["SeqDropoutPlusTrainer", "DeepLabV3PlusTrainer"]
    assert [arm.drops for arm in design.arms] == [True, False]


@pytest.mark.parametrize("trainer", [name for name in BASES if not name.startswith("nnUNet")])
def test_a_3d_configuration_is_refused_to_the_slab_network_alone(tmp_path, trainer):
    text = MINIMAL.replace("SeqDropoutTrainer", trainer) + "configuration: 3d_fullres"
    with pytest.raises(Fault, match=f"arm A: {trainer} cannot train the configuration 3d_fullres"):
        read_design(written(tmp_path, text))
    of_one_arm = text.replace("sequences: all}", "sequences: all, configuration: 2d}")
    assert read_design(written(tmp_path, of_one_arm)).arms[0].configuration == "2d"


def test_weights_of_subsets_stay_as_they_are_written(tmp_path):
    settings = "settings: {subset_law: weights, subset_weights: {t1_pre+flair: 0}, rescale: sqrt}"
    arms = read_design(written(tmp_path, MINIMAL.replace("sequences: all}", f"sequences: all, {settings}}}"))).arms
    law = {"subset_law": "weights", "subset_weights": {"t1_pre+flair": 0}, "rescale": "sqrt"}
    assert arms[0].settings == law


def test_the_reference_is_the_first_arm(tmp_path):
    assert read_design(written(tmp_path, MINIMAL.replace("reference: A", "reference: B"))).names == ("B", "A")


def test_lists_become_what_the_design_declares(tmp_path):
    design = read_design(written(tmp_path, MINIMAL + "folds: [0, 1]\nplanning: [-pl, nnUNetPlannerResEncM]"))
    assert design.folds == (0, 1)
    assert design.planning == ("-pl", "nnUNetPlannerResEncM")
    assert design.targets == {"lesion": (1,)}


def test_seeds_are_those_of_all_arms_or_of_one(tmp_path):
    of_b = MINIMAL.replace("sequences: available}", "sequences: available, seeds: [4]}")
    design = read_design(written(tmp_path, of_b + "seeds: [0, 1, 2]"))
    assert (design.seeds, [arm.seeds for arm in design.arms]) == ((0, 1, 2), [None, (4,)])
    runs = [(run.name, run.arm.name, run.seed) for run in all_runs(design)]
    assert runs == [("A", "A", 0), ("A_seed1", "A", 1), ("A_seed2", "A", 2), ("B_seed4", "B", 4)]


def test_one_seed_changes_no_name(tmp_path):
    for text, seed in ((MINIMAL, 0), (MINIMAL + "seed: 5", 5), (MINIMAL + "seeds: [5]", 5)):
        runs = all_runs(read_design(written(tmp_path, text)))
        assert [(run.name, run.seed) for run in runs] == [("A", seed), ("B", seed)]


def test_seeds_take_the_place_of_the_seed_of_the_base(tmp_path):
    (tmp_path / "base.yaml").write_text(MINIMAL + "seed: 5")
    assert read_design(written(tmp_path, "base: base.yaml\nseeds: [1, 2]")).seeds == (1, 2)
    (tmp_path / "base.yaml").write_text(MINIMAL + "seeds: [1, 2]")
    assert read_design(written(tmp_path, "base: base.yaml\nseed: 5")).seeds == (5,)


def test_a_seed_of_one_arm_with_the_name_of_another_arm_is_refused(tmp_path):
    text = MINIMAL.replace("  B:", "  A_seed1:") + "seeds: [0, 1]"
    with pytest.raises(Fault, match="both called A_seed1"):
        all_runs(read_design(written(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not the design"),
        ("{", "cannot be read"),
        ("budget: {}", "arms"),
        (MINIMAL + "speed: 3", "speed"),
        (MINIMAL.replace("reference: A", "reference: C"), "A, B"),
        (MINIMAL.replace("SeqDropoutTrainer", "MyTrainer"), "nnUNetTrainerSeqDropout"),
        (MINIMAL.replace("sequences: available", "sequences: some"), "available"),
        (MINIMAL.replace("  B:", "  'a b':"), "letters"),
        (MINIMAL + "test: cross_validation", "argmax"),
        (
            MINIMAL + "test: cross-validation",
            "test should be one of imagesTs, cross_validation, and is 'cross-validation'",
        ),
        (MINIMAL + "threshold: yuoden", "dice, youden, argmax"),
        (
            MINIMAL + "threshold: -3",
            "threshold should be one of dice, youden, argmax or a number of false positives, 0 or more, and is -3",
        ),
        (MINIMAL + "threshold: true", "0 or more, and is true"),
        (
            MINIMAL + "subset_tables: first",
            "subset_tables should be one of every_seed, first_seed, none, and is 'first'",
        ),
        (MINIMAL + "folds: [all]", "folds[0] should be a whole number from 0, and is 'all'"),
        (MINIMAL + "folds: []", "numbers"),
        (MINIMAL.replace("  B: {trainer: nnUNetTrainer, sequences: available}\n", ""), "at least two arms"),
        (MINIMAL.replace("[1]}", "[1], whole: [1, 2]}"), "argmax"),
        (
            MINIMAL + "scenarios: {as_acquired: , no_flair: [flair]}",
            "scenarios.as_acquired should be a list, and is null",
        ),
        (MINIMAL.replace("epochs: 2", "epochs: '2'"), "budget.epochs should be a whole number above 0, and is '2'"),
        (
            MINIMAL.replace("slices_per_epoch: 30", "slices_per_epoch: 0"),
            "budget.slices_per_epoch should be a whole number above 0, and is 0",
        ),
        (MINIMAL + "min_volume_mm3: [5, 10]", "min_volume_mm3 should be a number from 0, and is [5, 10]"),
        (MINIMAL + "configuration: 3d_fullres", "A: SeqDropoutTrainer cannot train the configuration 3d_fullres"),
        (MINIMAL + "seed: 0\nseeds: [0, 1]", "Write seeds alone"),
        (MINIMAL + "seeds: [0, 1, 0]", "seeds: [0, 1, 0]"),
        (MINIMAL + "seeds: [0, 1.5]", "seeds[1] should be a whole number from 0, and is 1.5"),
        (MINIMAL + "seeds: [true]", "seeds[0] should be a whole number from 0, and is true"),
        (MINIMAL + "seeds: [0, -1]", "seeds[1] should be a whole number from 0, and is -1"),
        (MINIMAL + "seeds: []", "seeds: []"),
        (MINIMAL + "seeds: 3", "seeds should be a list, and is 3"),
        (MINIMAL + "seed: [0, 1]", "seeds[0] should be a whole number from 0, and is [0, 1]"),
        (MINIMAL + "seed: zero", "seeds[0] should be a whole number from 0, and is 'zero'"),
        (MINIMAL.replace("sequences: all}", "sequences: all, seeds: [1, 1]}"), "arm A: seeds: [1, 1]"),
        (MINIMAL.replace("sequences: all}", "sequences: all, seeds: []}"), "arm A: seeds: []"),
        ("base: nothing", "cannot be read"),
        ("base: design.yaml", "not the design"),
    ],
)
def test_what_is_no_design_is_refused_with_what_to_write(text, says, tmp_path):
    with pytest.raises(Fault) as caught:
        read_design(written(tmp_path, text))
    assert says in str(caught.value)
