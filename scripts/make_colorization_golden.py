"""Writes what PyTorch makes of one photo, for tests/colorization/test_golden.py.

python scripts/make_colorization_golden.py
python scripts/make_colorization_golden.py --check-full-width

The published network is written down here a second time, in PyTorch and from its description.
With random weights it gives the logits and colours that ours must give, having read the same
weights from a checkpoint of the published layout. The file holds weights of a narrow network,
so as to stay small; --check-full-width compares the two at full width and writes nothing.
Needs `pip install -e ".[bench]"`.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import skimage
import torch
from torch import nn
from torch.nn import functional

GOLDEN = Path(__file__).parent.parent / "tests" / "colorization" / "golden_eccv16.npz"
WIDTH, SEED = 1 / 32, 5  # with this seed even the two channels of block 1 are alive
SIZES = ((256, 256), (133, 79))  # the odd one leaves cells that reach over the border
TEMPERATURES = (1.0, 0.38)
PIXELS = 3  # every third is kept: the last of each size too, and all places inside a cell
# Filters and convolutions of a block, the stride of its last one, dilation.
BLOCKS = (
    (64, 2, 2, 1),
    (128, 2, 2, 1),
    (256, 3, 2, 1),
    (512, 3, 1, 1),
    (512, 3, 1, 2),
    (512, 3, 1, 2),
    (512, 3, 1, 1),
)


class Network(nn.Module):
    """Lightness (B, 1, H, W) in 0..100 -> logits (B, 313, h, w), under the checkpoint's names."""

    def __init__(self, width=1.0):
        super().__init__()
        channels = 1
        for number, (filters, depth, stride, dilation) in enumerate(BLOCKS, 1):
            filters, steps = int(filters * width), []
            for step in range(depth):
                last = stride if step == depth - 1 else 1
                steps += [nn.Conv2d(channels, filters, 3, last, dilation, dilation), relu()]
                channels = filters
            self.add_module(f"model{number}", nn.Sequential(*steps, nn.BatchNorm2d(filters)))
        filters = int(256 * width)
        self.model8 = nn.Sequential(
            *(nn.ConvTranspose2d(channels, filters, 4, 2, 1), relu()),
            *(nn.Conv2d(filters, filters, 3, padding=1), relu()),
            *(nn.Conv2d(filters, filters, 3, padding=1), relu()),
            nn.Conv2d(filters, 313, 1),
        )
        self.model_out = nn.Conv2d(313, 2, 1, bias=False).requires_grad_(False)

    def forward(self, lightness):
        # Scaled before it is rounded, should the weights be in half precision.
        x = ((lightness - 50) / 100).to(self.model1[0].weight.dtype)
        for number in range(1, 9):
            x = self.get_submodule(f"model{number}")(x)
        return x


def relu():
    return nn.ReLU(inplace=True)


def random_network(width, lightness, seed):
    """A network whose activations stay in a sane range, as those of a trained one do."""
    # Imported here: the benchmark takes Network, and wants no TensorFlow beside PyTorch.
    from keras_vision.colorization.bins import CENTERS

    torch.manual_seed(seed)
    net = Network(width)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # the statistics become those of the photo
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight)
            nn.init.uniform_(module.bias, -0.1, 0.4)  # mostly positive: few dead channels
    net.model8[-1].weight.data *= 2  # so that the likeliest bins stand out
    net.train()(lightness)
    for name, array in net.state_dict().items():
        if name.endswith("running_var"):
            array.clamp_(min=1e-2)  # an almost dead channel would otherwise be blown up
        array.copy_(array.half())  # the file's precision
    net.model_out.weight.data = torch.from_numpy(CENTERS.T[..., None, None] / 110)
    return net.eval()


def to_lightness(photo):
    """A grey photo (H, W), uint8 -> L (1, 1, H, W)."""
    lab = skimage.color.rgb2lab(skimage.color.gray2rgb(photo))
    return torch.from_numpy(lab[None, None, ..., 0].astype("float32"))


def to_colours(net, lightness, logits, temperature):
    """The photo (H, W, 3) in colours, uint8: the annealed mean, enlarged, below its lightness."""
    ab = 110 * net.model_out(torch.softmax(logits / temperature, 1))
    ab = functional.interpolate(ab, scale_factor=4, mode="bilinear", align_corners=False)
    height, width = lightness.shape[2:]
    lab = torch.cat([lightness, ab[..., :height, :width]], 1)[0].permute(1, 2, 0)
    return np.rint(255 * skimage.color.lab2rgb(lab.numpy())).astype("uint8")


def grey_photo():
    photo = skimage.color.rgb2gray(skimage.data.astronaut()[:256, 96:352])
    return np.rint(255 * photo).astype("uint8")


def golden():
    """All that the test compares, by name."""
    photo = grey_photo()
    net = random_network(WIDTH, to_lightness(photo), SEED)
    arrays = {"photo": photo}
    for name, array in net.state_dict().items():
        exact = "model_out" in name or not array.is_floating_point()
        arrays[f"state/{name}"] = (array if exact else array.half()).numpy()
    for height, width in SIZES:
        lightness, size = to_lightness(photo[:height, :width]), f"{height}x{width}"
        logits = net(lightness)
        rows, columns = (np.linspace(0, n - 1, 6).astype(int) for n in logits.shape[2:])
        cells = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
        arrays[f"cells/{size}"] = cells
        arrays[f"logits/{size}"] = logits[0, :, *cells.T].T.numpy()  # (36, 313)
        for temperature in TEMPERATURES:
            colours = to_colours(net, lightness, logits, temperature)
            arrays[f"colours/{size}/{temperature}"] = colours[::PIXELS, ::PIXELS]
    return arrays


def check_full_width():
    """Prints how far our logits are from PyTorch's, all weights and cells at full width."""
    from keras_vision import colorization

    photo = grey_photo()
    net = random_network(1.0, to_lightness(photo), SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        torch.save(net.state_dict(), path)
        model = colorization.build(weights=path)
    for height, width in SIZES:
        lightness = to_lightness(photo[:height, :width])
        theirs = net(lightness)[0].permute(1, 2, 0).numpy()
        ours = model.predict_on_batch(lightness.permute(0, 2, 3, 1).numpy())[0]
        difference = np.abs(ours - theirs).max()
        print(f"{height}x{width}: logits differ by {difference:.1e}, std {theirs.std():.2f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check-full-width", action="store_true")
    with torch.inference_mode():
        if parser.parse_args().check_full_width:
            check_full_width()
        else:
            np.savez_compressed(GOLDEN, **golden())
            print(f"{GOLDEN}, {GOLDEN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
