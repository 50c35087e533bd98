"""Says in a sentence where a model touches many lesions but outlines few of them."""

import pandas as pd

OUTLINED = 0.1
"""The Dice of a lesion with an object from which on it is more than touched: the limit of the BraTS-METS challenge."""

A_LITTLE = 0.1
"""How far the share of lesions outlined may lie below the share of lesions touched before it must be said."""

EXPLANATION = (
    "One predicted voxel on a lesion is enough to find it: a prediction that fills the brain finds all lesions. The "
    "shares are of the lesions of all patients; the Dice is that of a lesion with one predicted object."
)


def touching_sentence(lesions: pd.DataFrame, *, name: str = "It") -> str:
    """The sentence for the rows of ``lesions.csv``; empty where both shares agree or the Dice was not measured.

    False alarms have no part in it: both shares are of the lesions of the reference.
    """
    if "dice" not in lesions.columns:
        return ""
    reference = lesions[lesions["side"] == "reference"]
    touched = reference["status"] == "found"
    outlined = reference["dice"] >= OUTLINED
    if not len(reference) or touched.mean() - outlined.mean() <= A_LITTLE:
        return ""
    return (
        f"{name} finds {100 * touched.mean():.0f} % of the lesions by touching them, but only "
        f"{100 * outlined.mean():.0f} % with a Dice of at least {OUTLINED:g}; the mean Dice of the lesions touched is "
        f"{reference.loc[touched, 'dice'].mean():.3f}."
    )
