"""PyTorch's side of bench/vgg.bench.ts: the style layers of VGG16 and the sizes of their Gram matrices."""
import torch
import torch.nn as nn

from peer import serve

WIDTHS = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512]
STYLE = [1, 6, 11, 18, 25]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def style(batch, size, backward):
    parts, inputs = [], 3
    for width in WIDTHS:
        if width == "M":
            parts.append(nn.MaxPool2d(2))
        else:
            parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
    model = nn.Sequential(*parts)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    pictures = torch.rand(batch, 3, size, size)

    def layers(x):
        x, taps = (x - MEAN) / STD, []
        for i, part in enumerate(model):
            x = part(x)
            if i in STYLE:
                taps.append(x)
        return taps

    def run():
        if not backward:
            with torch.no_grad():
                layers(pictures)
            return
        x = pictures.clone().requires_grad_(True)
        total = 0
        for layer in layers(x):
            flat = layer.flatten(2)
            total = total + (flat @ flat.transpose(1, 2) / flat.shape[2]).square().mean()
        total.backward()

    return run


serve({"style": style})
