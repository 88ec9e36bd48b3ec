"""The U-Net in PyTorch. Scores come out: no layer of it is a softmax."""

from __future__ import annotations

import torch
from torch import nn


def double(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    """(N, 3, H, W) to (N, classes, H, W), H and W being multiples of 8. The paper's network has base 64."""

    def __init__(self, classes, base):
        super().__init__()
        self.down1 = double(3, base)
        self.down2 = double(base, 2 * base)
        self.down3 = double(2 * base, 4 * base)
        self.down4 = double(4 * base, 8 * base)
        self.up3 = double(4 * base + 8 * base, 4 * base)
        self.up2 = double(2 * base + 4 * base, 2 * base)
        self.up1 = double(base + 2 * base, base)
        self.last = nn.Conv2d(base, classes, 1)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        for layer in self.modules():
            if isinstance(
                layer, nn.Conv2d
            ):  # there is no normalisation: start with a signal that neither dies nor grows
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        skip1 = self.down1(x)
        skip2 = self.down2(self.pool(skip1))
        skip3 = self.down3(self.pool(skip2))
        x = self.down4(self.pool(skip3))
        x = self.up3(torch.cat([self.upsample(x), skip3], dim=1))
        x = self.up2(torch.cat([self.upsample(x), skip2], dim=1))
        x = self.up1(torch.cat([self.upsample(x), skip1], dim=1))
        return self.last(x)
