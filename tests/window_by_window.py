"""The slow reference of the 2.5D network: one window after the other."""

import torch

from nnunet_seqdropout.network import DeepLabV3Slab


def slice_by_slice(net: DeepLabV3Slab, slab: torch.Tensor) -> torch.Tensor:
    """The slow reference: one window after the other, built by indexing, zeros beyond the slab."""
    border, depth = net.n_slices // 2, slab.shape[2]
    centres = []
    net.window_mode = True
    for centre in range(depth):
        window = torch.zeros(slab.shape[0], slab.shape[1], net.n_slices, *slab.shape[3:])
        for i, z in enumerate(range(centre - border, centre + border + 1)):
            if 0 <= z < depth:
                window[:, :, i] = slab[:, :, z]
        centres.append(net(window))
    net.window_mode = False
    return torch.cat(centres, dim=2)
