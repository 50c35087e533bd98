"""Trains the 2.5D networks in nnU-Net: on windows of a few slices, whereas prediction takes whole volumes."""

import os
from typing import Any, ClassVar

from batchgenerators.utilities.file_and_folder_operations import join, load_json
from torch._dynamo import OptimizedModule

from nnunet_seqdropout.plans import RATES_OF_DEEPLAB, Plans, SlabNetwork, fitting_rates, rates_outside, with_deeplab
from nnunet_seqdropout.training.windows import WindowTrainer


class DeepLab25D(WindowTrainer):
    """Trains the 2.5D DeepLabV3 on a 2D configuration: ``n_slices`` slices in, the centre slice out.

    The attributes are those of ``DeepLabV3Slab``; ``atrous_rates`` None takes ``fitting_rates`` of the patch.
    torch.compile, nnU-Net's default on a GPU, is used only where nnUNet_compile asks for it: on an H200 a slice took
    1.5 ms in training without it and 2.35 ms with it. Raises ValueError for 3D configurations.
    """

    backbone: ClassVar[str] = "resnet50"
    output_stride: ClassVar[int] = 8
    atrous_rates: ClassVar[tuple[int, ...] | None] = RATES_OF_DEEPLAB
    decoder: ClassVar[tuple[int, ...]] = ()
    bfloat16_on_cpu: ClassVar[bool] = True

    def initialize(self) -> None:
        self.enable_deep_supervision = False
        super().initialize()
        if outside := rates_outside(self._rates, *self._in_plane, self.output_stride):
            shown = ", ".join(map(str, outside))
            self.print_to_log_file(
                f"Atrous rates {shown} ({len(outside)} of {len(self._rates)} branches) lie outside the map: "
                "such a branch sees one pixel. atrous_rates = None scales them to the patch."
            )

    def _do_i_compile(self) -> bool:
        return "nnUNet_compile" in os.environ and super()._do_i_compile()

    def rewrite_plans(self, plans: Plans) -> Plans:
        network = SlabNetwork(
            n_sequences=len(self.dataset_json["channel_names"]),
            n_classes=self.label_manager.num_segmentation_heads,
            settings={
                "n_slices": self.n_slices,
                "backbone": self.backbone,
                "output_stride": self.output_stride,
                "atrous_rates": self._rates,
                "decoder": list(self.decoder),
                "bfloat16_on_cpu": self.bfloat16_on_cpu,
            },
        )
        return with_deeplab(
            super().rewrite_plans(plans),
            self.configuration_name,
            network,
            resolved=self.configuration_manager.configuration,
            fingerprint=load_json(join(self.preprocessed_dataset_folder_base, "dataset_fingerprint.json")),
        )

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Nothing to switch: DeepLabV3 has one output."""

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._bare_network.window_mode = True

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        self._bare_network.window_mode = False
        super().on_validation_epoch_end(val_outputs)

    @property
    def _rates(self) -> list[int]:
        return list(self.atrous_rates or fitting_rates(*self._in_plane, self.output_stride))

    @property
    def _bare_network(self) -> Any:
        """The network without the wrappers of DDP and torch.compile."""
        network = self.network.module if self.is_ddp else self.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network


class DeepLab25DPlus(DeepLab25D):
    """Trains DeepLabV3+, the network with a decoder: it outlines small lesions, which the paper's cannot draw.

    Encoder at stride 16, atrous rates that fit the patch, low-level features at strides 4, 2 and 1.
    """

    output_stride = 16
    atrous_rates = None
    decoder = (4, 2, 1)
    optimizer_type = "adamw"
