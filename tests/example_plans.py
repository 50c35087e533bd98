"""Plans and a fingerprint of nnU-Net, cut down to what our plans are made of."""

from typing import Any

PLANS: dict[str, Any] = {
    "experiment_planner_used": "ExperimentPlanner",
    "transpose_forward": [1, 0, 2],
    "configurations": {
        "2d": {
            "spacing": [1.0, 1.0],
            "patch_size": [64, 48],
            "median_image_size_in_voxels": [64.0, 48.0],
            "batch_size": 439,
            "architecture": {},
        },
        "3d_fullres": {"spacing": [1.0, 1.0, 1.0]},
        "2d_mine": {"inherits_from": "2d"},
    },
}
FINGERPRINT = {"shapes_after_crop": [[64, 100, 48], [60, 140, 50], [70, 160, 40]]}
