"""A class attribute of a user's trainer that nothing reads does not pass in silence."""

import pytest

from nnunet_seqdropout.settings import declared_settings, unknown_attributes
from nnunet_seqdropout.training import ConfiguredTrainer, DeepLab25DPlus, WithSequenceDropout
from nnunet_seqdropout.training.configured import OURS


class Base(WithSequenceDropout, DeepLab25DPlus):
    pass


def test_the_settings_are_those_that_the_trainers_declare():
    settings = declared_settings(Base)
    assert {"epochs", "seed", "subset_law", "n_slices", "decoder", "rescale"} <= settings
    assert "train_step" not in settings
    assert "subset_law" not in declared_settings(ConfiguredTrainer)


@pytest.mark.parametrize(
    ("attribute", "meant"),
    [
        ("drop_probabilty", "drop_probability"),
        ("subset_weigths", "subset_weights"),
        ("num_epochs", "epochs"),
        ("initial_lr", "learning_rate"),
        ("save_every", "save_every_epochs"),
        ("my_own", ""),
    ],
)
def test_what_nothing_reads_is_named_with_what_was_meant(attribute, meant):
    trainer = type("Users", (Base,), {attribute: 1})
    assert unknown_attributes(trainer, ours=OURS) == {attribute: meant}


def test_known_settings_methods_and_private_names_are_no_fault():
    members = {"epochs": 5, "_own": 3, "helper": lambda self: None, "value": property(lambda self: 1), "__doc__": "x"}
    assert unknown_attributes(type("Users", (Base,), members), ours=OURS) == {}
    assert unknown_attributes(Base, ours=OURS) == {}


def test_a_misspelt_setting_ends_the_training_at_its_start(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    trainer.__class__ = type("Users", (type(trainer),), {"drop_probabilty": 0.5})
    with pytest.raises(ValueError, match=r"Users.drop_probabilty has no effect\. Write drop_probability\."):
        trainer.initialize()


def test_an_attribute_that_may_be_the_users_own_is_named_in_the_log(make_trainer, capsys):
    make_trainer("TinyStock").initialize()
    assert "WARNING: TinyStock.backbone has no effect, unless your own code reads it." in capsys.readouterr().out
