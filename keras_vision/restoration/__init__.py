"""Restoration: autoencoders, and a denoiser that need not be told how strong the noise is.

model = restoration.denoiser.build(weights="photos")
clean = restoration.denoise(model, "noisy.png")
"""

from keras_vision.restoration import autoencoder, denoiser
from keras_vision.restoration.denoise import denoise

__all__ = ["autoencoder", "denoise", "denoiser"]
