"""Autoencoders and denoising: what a bottleneck keeps, and what noise is not (lesson 9).

Paper:     Hinton, Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks";
           Zhang, Zuo, Chen, Meng, Zhang 2017, "Beyond a Gaussian Denoiser: Residual Learning of
           Deep CNN for Image Denoising".
Lecture:   ConvNets in practice, slides "Autoencoder", "U-Net" and "Denoising Task".
Needs:     lesson 8.
Run:       python tutorials/09_autoencoder_and_denoising.py                      a minute, offline
           python tutorials/09_autoencoder_and_denoising.py --full --data DIR    your own photos
Data:      DIR holds photos, in folders or not.
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/09_autoencoder_and_denoising/, or out/09_autoencoder_and_denoising_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from keras_vision import arithmetic, lesson, plots
from keras_vision.classification.data import in_turn
from keras_vision.datasets import folder, mnist, samples
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.restoration import autoencoder, denoise, denoiser
from keras_vision.restoration.data import crop, example, grey, noisy, turn
from keras_vision.rows import Rows
from keras_vision.training import BatchData, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "PSNR of noise of 25": (20.172, 0.001),
    "error of the linear autoencoder over PCA's": (1.01, 0.03),
    "error of the deep autoencoder over PCA's": (0.74, 0.06),
    "PSNR, learned here": (25.8, 0.7),
    "PSNR, no skip connections": (20.5, 0.3),
    "PSNR, shipped": (31.22, 0.05),
    "PSNR, median filter": (23.80, 0.02),
    "PSNR, Gaussian blur": (25.49, 0.02),
}
FULL = {"epochs": 20, "steps": 20000, "rate": 2e-3}
CODE = 16  # numbers that are left of a digit
NOISE = 25  # deviation, in steps of 0..255


def main(data=None, out="out/09_autoencoder_and_denoising", epochs=1, steps=400, rate=1e-2):
    # %% [markdown]
    # ## 1. Task
    # A picture goes in, and one comes out: the same, but for what should not have been there.
    # An *autoencoder* has to bring it through a bottleneck of a few numbers, and so must keep what
    # matters; a *denoiser* has to tell the photo from the noise.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shipped = denoiser.build(weights="photos")
    photos = samples.photos()
    clean = [middle(photo, 192) for photo in photos.values()]
    rough = [with_noise(photo, NOISE, number) for number, photo in enumerate(clean)]
    # [solution: digits of 28x28 pixels and 16 numbers of each: how many times fewer is that?]
    fewer = 28 * 28 / 16
    # [end]
    model = autoencoder.build(code=CODE)
    pixels, code = (np.prod(model.get_layer(name).output.shape[1:]) for name in ("image", "code"))
    lesson.check(fewer, float(pixels / code), "Pixels over numbers.")
    sheet = [clean, rough, denoise(shipped, rough)]
    captions = [[name] * len(clean) for name in ("photo", f"noise of {NOISE}", "denoised")]
    plots.show(plots.contact_sheet(sheet, list(photos), captions), out / "1_task.png")

    # %% [markdown]
    # ## 2. Loss
    # The mean squared error. It is told as PSNR, 10 log10(255^2 / error), in decibels: 3 more are
    # half of the error.

    # %%
    # [solution: noise of deviation 25 in each pixel: the mean squared error?]
    error_of_noise = 25**2
    # [end]
    noise = np.random.default_rng(0).normal(size=(400, 400))
    noise *= NOISE / noise.std()
    hint = "A variance is a deviation times itself."
    lesson.check(error_of_noise, round(float(np.var(noise))), hint)
    # [solution: its PSNR?]
    psnr_of_noise = 10 * np.log10(255**2 / 25**2)
    # [end]
    hint = "Put that error into the formula."
    lesson.check(psnr_of_noise, float(psnr(0, noise)), hint)

    # %% [markdown]
    # ## 3. Architecture
    # Without hidden layers an autoencoder is linear: two matrices. The best that these can do is
    # what PCA does, the directions in which the pictures vary most. What is lost are the variances
    # of all other directions, the eigenvalues that are left out.

    # %%
    # [solution: variances 5, 3, 1, 1 of four pixels, and a code of two numbers: the mean error?]
    lost = (1 + 1) / 4
    # [end]
    four = np.diag(np.sqrt([5.0, 3, 1, 1]))
    four = 2 * np.concatenate([four, -four])
    again = autoencoder.through(four, *autoencoder.pca(four, 2)[:2])
    lesson.check(lost, float(np.mean((four - again) ** 2)), "What is left out, for each pixel.")
    # [solution: a linear one for 28x28 pixels and 16 numbers: how many parameters, biases too?]
    parameters = 784 * 16 + 16 + 16 * 784 + 784
    # [end]
    linear = autoencoder.build(code=CODE, hidden=())
    hint = "Two matrices, and a bias for each number that one of them makes."
    lesson.check(parameters, linear.count_params(), hint)

    # %% [markdown]
    # ## 4. Optimiser
    # Adam for the autoencoders, Muon for the convolutions of the denoiser. DnCNN learns the
    # *residual*: the network says what the noise is, and the photo is what is left. Before it has
    # learned anything, it takes nothing away.

    # %%
    # [solution: DnCNN, 17 convolutions of 3x3 one behind the other: what side has what it sees?]
    field = 1 + 17 * 2
    # [end]
    table = arithmetic.inspect(denoiser.dncnn(filters=4), 64)
    seen = table["field"][table["kind"] == "Conv2D"]
    lesson.check(field, seen.iloc[-1], "Each convolution adds a pixel at either end.")

    # %% [markdown]
    # ## 5. Dataset
    # Digits for the autoencoder. For the denoiser, squares cut out of photos, shrunk a little,
    # turned and mirrored, some without colours, and noise that is drawn anew each time, of another
    # strength for each: the network is *blind*, nobody tells it how much there is.

    # %%
    rows = mnist.load("train", mnist.SUBSET).as_numpy_iterator()
    digits = np.stack([raw["image"] for raw in rows]).astype("float32")
    digits, unseen = digits[:-500], digits[-500:]
    source = folder.unlabelled(data, decode=False) if data else squares(list(photos.values())[:4])
    augment = in_turn(partial(crop, size=64 if data else 32), turn, grey)
    flow = BatchData(source, 16, example=example, augment=augment, mix=noisy)
    seen, wanted = (np.asarray(part)[:8] for part in next(iter(flow())))
    plots.show(
        plots.contact_sheet([list(pictures(wanted)), list(pictures(seen))], [""] * 8),
        out / "5_crops.png",
    )
    # [solution: twice as strong a noise: how many decibels less?]
    decibels_less = 20 * np.log10(2)
    # [end]
    less = float(psnr(0, noise) - psnr(0, 2 * noise))
    lesson.check(decibels_less, less, "Its error is four times as large.")

    # %% [markdown]
    # ## 6. Training
    # Three ways through the bottleneck: PCA, which is solved and not trained; the linear network;
    # and one with hidden layers, which may bend.

    # %%
    mean, directions, variances = autoencoder.pca(digits, CODE)
    errors = {"PCA": np.mean((unseen - autoencoder.through(unseen, mean, directions)) ** 2)}
    networks = {"linear": linear, "deep": autoencoder.build(code=CODE)}
    for name, network in networks.items():
        network.compile(keras.optimizers.Adam(2e-3), "mean_squared_error", jit_compile=False)
        network.fit(digits, digits, 64, epochs=12, verbose=0)
        errors[name] = np.mean((unseen - network.predict_on_batch(unseen)) ** 2)
        print(f"{name}: error {errors[name]:.1f}, PCA {errors['PCA']:.1f}")

    def trained(name, **settings):
        built = partial(denoiser.build, **({} if data else {"filters": 8, "depth": 2}), **settings)
        return launch(
            TrainConfig(
                model=partial(compiled, built, rate, steps),
                dataflow=flow,
                steps_per_epoch=steps // epochs,
                max_epoch=epochs,
                log_dir=out / name,
            )
        )

    own = trained("denoiser")

    # %% [markdown]
    # ## 7. Validation and tuning
    # How many numbers does a digit need? PCA tells for all sizes of the code at once: the sum of
    # the variances that are left out.

    # %%
    left = variances[::-1].cumsum()[::-1] / digits[0].size
    axes = ("numbers in the code", "error of digits")
    curve = plots.curves({"PCA": left[1:101]}, *axes, x=range(1, 101))
    plots.show(curve, out / "7_code.png")
    names = ["digit", "PCA", *networks]
    rows = [unseen[:8], autoencoder.through(unseen[:8], mean, directions)]
    rows += [network.predict_on_batch(unseen[:8]) for network in networks.values()]
    sheet = [list(pictures(row)[..., 0]) for row in rows]
    captions = [[name] * 8 for name in names]
    plots.show(plots.contact_sheet(sheet, [""] * 8, captions), out / "7_digits.png")

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose: a denoiser without skip connections. All that it says has gone through
    # maps of a quarter of the photo's height and width. The noise is the finest thing in the
    # picture: where each grain lies they know no more, and so nothing is taken away.

    # %%
    with lesson.printed_to(out / "without_skips.log"):
        alone = trained("without_skips", skips=False)
    roads = {"no skip connections": alone, "learned here": own, "shipped": shipped}
    found = [denoise(model, rough[4:]) for model in roads.values()]
    sheet = [list(row) for row in zip(clean[4:], rough[4:], *found, strict=True)]
    plots.show(plots.contact_sheet(sheet, ["photo", "noise", *roads]), out / "8_skips.png")

    # %% [markdown]
    # ## 9. Unseen test
    # Two photos that none has seen, and filters of old: the median of 3x3 pixels, and a Gaussian
    # blur. What is best for weak noise is not best for strong noise; the network, which is told
    # nothing, adapts.

    # %%
    roads = {name: partial(denoise, model) for name, model in roads.items()}
    roads["median filter"] = partial(filtered, ImageFilter.MedianFilter(3))
    roads["Gaussian blur"] = partial(filtered, ImageFilter.GaussianBlur(1))
    table = pd.DataFrame(
        {
            deviation: {name: measured(road, clean[4:], deviation) for name, road in roads.items()}
            for deviation in (15, NOISE, 50)
        }
    )
    print("PSNR at noise of\n" + table.to_string(float_format="{:.2f}".format))
    print(f"The pictures are in {out}")
    return {
        "PSNR of noise of 25": float(psnr(0, noise)),
        "error of the linear autoencoder over PCA's": errors["linear"] / errors["PCA"],
        "error of the deep autoencoder over PCA's": errors["deep"] / errors["PCA"],
        **{f"PSNR, {name}": value for name, value in table[NOISE].items()},
    }


def measured(road, photos, deviation):
    """The mean PSNR of photos after noise, and after a way to take it away."""
    rough = [with_noise(photo, deviation, number) for number, photo in enumerate(photos)]
    return np.mean([psnr(photo, road(one)) for photo, one in zip(photos, rough, strict=True)])


def filtered(how, photo):
    return np.asarray(Image.fromarray(photo).filter(how))


def middle(photo, side):
    """The middle of a photo, a square of `side` pixels."""
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def with_noise(photo, deviation, seed):
    """As a file has it: whole numbers in 0..255."""
    noise = np.random.default_rng(seed).normal(0, deviation, photo.shape)
    return pictures(photo + noise)


def pictures(values):
    return np.clip(np.rint(values), 0, 255).astype("uint8")


def psnr(photo, found):
    """Decibels; of noise that goes beyond 0..255, too."""
    return 10 * np.log10(255**2 / np.mean((np.asarray(found, float) - photo) ** 2))


def squares(photos):
    """`Rows` of the middle of photos, several times over, for a crop of each is another."""
    return Rows({"image": np.stack([middle(photo, 256) for photo in photos] * 8)})


def compiled(build, rate, steps):
    model = build()
    optimizer = Muon(warmup_cosine(rate, steps), exclude_layers=["^conv2d/", "noise"])
    model.compile(optimizer, "mean_absolute_error", jit_compile=False)
    return model


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
