"""The trainers of a study are found by nnU-Net and have its budget."""

import pytest
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from dataset_conversion.faults import Fault
from nnunet_seqdropout.study.design.design import Arm, Budget, Design
from nnunet_seqdropout.study.design.design_file import SHIPPED, read_design
from nnunet_seqdropout.study.runs import Run, all_runs
from nnunet_seqdropout.study.trainers import trainer_name, trainer_source, write_trainers
from nnunet_seqdropout.training import ConfiguredTrainer
from nnunet_seqdropout.training.sequence_dropout import WithSequenceDropout
from nnunet_seqdropout.training_25d import DeepLab25D, DeepLab25DPlus


def design_of(*arms: Arm, **settings) -> Design:
    return Design("A", arms, Budget(3, 60, 4), {"lesion": (1,)}, settings=settings)


@pytest.fixture
def found(tmp_path, monkeypatch):
    """The classes that nnU-Net finds, by run."""

    def find(design: Design) -> dict[str, type]:
        write_trainers(tmp_path, design)
        monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
        return {run.name: recursive_find_trainer_class_by_name(trainer_name(run)) for run in all_runs(design)}

    return find


def test_every_arm_of_the_small_design_is_found_with_the_same_budget(found):
    trainers = found(read_design(SHIPPED / "small.yaml"))
    assert {(t.epochs, t.slices_per_epoch, t.largest_batch, t.seed) for t in trainers.values()} == {(10, 600, 12, 0)}
    assert issubclass(trainers["DropOut"], WithSequenceDropout)
    assert issubclass(trainers["DropOut"], DeepLab25D)
    assert not issubclass(trainers["DeepLabV3"], WithSequenceDropout)
    assert not issubclass(trainers["nnU-Net_DropOut"], DeepLab25D)
    assert trainers["nnU-Net"].__mro__[1] is ConfiguredTrainer


def test_an_arm_may_have_the_network_with_a_decoder_and_settings_of_it(found):
    law = {"subset_law": "weights", "subset_weights": {"t1_pre+flair": 0.0}, "decoder": [4, 2], "rescale": "sqrt"}
    arms = Arm("A", "SeqDropoutPlusTrainer", "all", law), Arm("B", "DeepLabV3PlusTrainer", "all")
    trainers = found(design_of(*arms, warmup_epochs=2))
    assert issubclass(trainers["A"], WithSequenceDropout)
    assert all(issubclass(trainer, DeepLab25DPlus) for trainer in trainers.values())
    assert not issubclass(trainers["B"], WithSequenceDropout)
    assert {name: getattr(trainers["A"], name) for name in law} == law
    assert (trainers["B"].decoder, trainers["B"].optimizer_type) == ((4, 2, 1), "adamw")
    assert {trainer.warmup_epochs for trainer in trainers.values()} == {2}


def test_settings_reach_the_trainers_that_know_them(found):
    design = design_of(Arm("A", "SeqDropoutTrainer", "all"), Arm("B", "nnUNetTrainer", "all"), backbone="resnet18")
    trainers = found(design)
    assert trainers["A"].backbone == "resnet18"
    assert not hasattr(trainers["B"], "backbone")


def test_an_arm_with_settings_of_its_own_has_a_trainer_of_its_own(found):
    plain, own = Arm("A", "SeqDropoutTrainer", "all"), Arm("B-2", "SeqDropoutTrainer", "all", {"n_slices": 3})
    trainers = found(design_of(plain, own))
    assert (trainers["A"].n_slices, trainers["B-2"].n_slices) == (5, 3)
    assert trainer_name(Run(own)) == "SeqDropoutTrainer_study_B_2"


def test_a_setting_that_the_trainer_does_not_have_is_refused():
    arm, other = Arm("A", "SeqDropoutTrainer", "all", {"backbnoe": "resnet18"}), Arm("B", "nnUNetTrainer", "all")
    with pytest.raises(Fault, match="backbnoe"):
        trainer_source(Run(arm), design_of(arm, other))


@pytest.mark.parametrize("name", ["train_step", "initialize", "num_epochs", "rewrite_plans"])
def test_a_method_or_an_attribute_of_nnunet_is_no_setting(tmp_path, name):
    """What a study may set is what our trainers declare as a class attribute with a type."""
    arms = Arm("A", "SeqDropoutTrainer", "all", {name: 3}), Arm("B", "nnUNetTrainer", "all")
    with pytest.raises(Fault, match=name):
        write_trainers(tmp_path, design_of(*arms))
    with pytest.raises(Fault, match=name):
        write_trainers(tmp_path, design_of(Arm("A", "nnUNetTrainer", "all"), arms[1], **{name: 3}))


def test_what_belongs_to_one_training_is_no_setting_although_it_has_a_type(monkeypatch):
    class Counting(ConfiguredTrainer):
        lesions_seen: int = 0

    monkeypatch.setattr("nnunet_seqdropout.training.ConfiguredTrainer", Counting)
    arm = Arm("A", "nnUNetTrainer", "all", {"lesions_seen": 3})
    with pytest.raises(Fault, match="has no setting lesions_seen"):
        trainer_source(Run(arm), design_of(arm, Arm("B", "nnUNetTrainer", "all")))


def test_a_study_of_version_0_1_0_goes_on_since_its_trainers_have_the_same_text():
    """Another text would be another input of the training, which would begin anew."""
    arms = Arm("A", "SeqDropoutTrainer", "all"), Arm("B", "nnUNetTrainer", "all")
    design = design_of(*arms, backbone="resnet18")
    budget = (
        "    epochs = 3\n    slices_per_epoch = 60\n    largest_batch = 4\n    save_every_epochs = 1\n    seed = 0\n"
    )
    first = '"""Written by seqdropout study: its budget and settings."""\n\n'
    assert trainer_source(Run(arms[0]), design) == (
        f"{first}from nnunet_seqdropout.training import WithSequenceDropout\n"
        "from nnunet_seqdropout.training_25d import DeepLab25D\n\n\n"
        f"class SeqDropoutTrainer_study(WithSequenceDropout, DeepLab25D):\n{budget}    backbone = 'resnet18'\n"
    )
    assert trainer_source(Run(arms[1]), design) == (
        f"{first}from nnunet_seqdropout.training import ConfiguredTrainer\n\n\n"
        f"class nnUNetTrainer_study(ConfiguredTrainer):\n{budget}"
    )


@pytest.mark.parametrize("setting", ["epochs", "slices_per_epoch", "seed"])
def test_an_arm_has_no_budget_of_its_own(tmp_path, setting):
    arms = Arm("A", "SeqDropoutTrainer", "all", {setting: 3}), Arm("B", "nnUNetTrainer", "all")
    with pytest.raises(Fault, match=setting):
        write_trainers(tmp_path, design_of(*arms))


def test_a_common_setting_that_no_trainer_has_is_refused(tmp_path):
    arms = Arm("A", "SeqDropoutTrainer", "all"), Arm("B", "nnUNetTrainer", "all")
    with pytest.raises(Fault, match="backbnoe"):
        write_trainers(tmp_path, design_of(*arms, backbnoe="resnet18"))


def test_two_arms_that_nnunet_could_not_tell_apart_are_refused(tmp_path):
    arms = [Arm(name, "SeqDropoutTrainer", "all", {"n_slices": n}) for name, n in (("A-1", 3), ("A_1", 7))]
    with pytest.raises(Fault, match="A_1"):
        write_trainers(tmp_path, Design("A-1", tuple(arms), Budget(1, 1), {"lesion": (1,)}))


def test_a_trainer_that_says_the_same_is_not_written_again(tmp_path):
    design = design_of(Arm("A", "nnUNetTrainer", "all"), Arm("B", "DeepLabV3Trainer", "all"))
    file = write_trainers(tmp_path, design)["A"]
    before = file.stat().st_mtime_ns
    write_trainers(tmp_path, design)
    assert file.stat().st_mtime_ns == before


def test_every_seed_of_an_arm_has_a_trainer_that_differs_in_the_seed_alone(found, tmp_path):
    arms = Arm("A", "SeqDropoutTrainer", "all", {"n_slices": 3}), Arm("B", "nnUNetTrainer", "all", seeds=(2,))
    design = Design("A", arms, Budget(3, 60, 4), {"lesion": (1,)}, seeds=(0, 1))
    trainers = found(design)
    assert {name: (t.__name__, t.seed) for name, t in trainers.items()} == {
        "A": ("SeqDropoutTrainer_study_A", 0),
        "A_seed1": ("SeqDropoutTrainer_study_A_seed1", 1),
        "B_seed2": ("nnUNetTrainer_study_seed2", 2),
    }
    assert [trainers[name].n_slices for name in ("A", "A_seed1")] == [3, 3]


def test_an_arm_that_is_called_like_the_seed_of_a_shared_trainer_is_refused(tmp_path):
    arms = Arm("A", "SeqDropoutTrainer", "all"), Arm("seed1", "SeqDropoutTrainer", "all", {"n_slices": 3}, seeds=(0,))
    with pytest.raises(Fault, match="SeqDropoutTrainer_study_seed1"):
        write_trainers(tmp_path, Design("A", arms, Budget(1, 1), {"lesion": (1,)}, seeds=(0, 1)))
