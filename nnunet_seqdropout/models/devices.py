"""Says whether this computer has a device that a model could run on."""

import torch


def is_available(device: torch.device) -> bool:
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type != "cuda" or torch.cuda.is_available()
