"""Small image sets that are made, not stored: 8x8 grey images with a fixed seed."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from heurax.tasks.datasets.data import ClassificationData, split_examples

__all__ = ["gratings", "letters"]

FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Italic", "STIXGeneral")


@functools.cache
def letters() -> ClassificationData:
    """2,600 capital letters, 8x8 grey images in [0, 1], 26 classes, from six fonts that matplotlib ships.

    Each is drawn at 32x32 with a random font, size (18 to 26 pixels), turn (up to 15 degrees) and place (up to 3 pixels
    off the middle), and averaged down. 2,000 for training, 300 each for validation and test.
    """
    import matplotlib as mpl
    from PIL import Image, ImageDraw, ImageFont

    generator = np.random.default_rng(0)
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    images, labels = [], np.arange(2600) % 26
    for label in labels:
        size = int(generator.integers(18, 27))
        font: Any = ImageFont.truetype(str(folder / f"{generator.choice(FONTS)}.ttf"), size)
        shift_x, shift_y = generator.uniform(-3, 3, 2)
        canvas = Image.new("L", (32, 32))
        ImageDraw.Draw(canvas).text((16 + shift_x, 16 + shift_y), chr(65 + label), fill=255, font=font, anchor="mm")
        turned = canvas.rotate(float(generator.uniform(-15, 15)), resample=Image.Resampling.BILINEAR)
        images.append(np.asarray(turned, np.float32).reshape(8, 4, 8, 4).mean(axis=(1, 3)).ravel() / 255)
    return split_examples(np.stack(images).astype(np.float32), labels, 300, (8, 8, 1))


@functools.cache
def gratings() -> ClassificationData:
    """2,400 sine gratings in noise, 8x8 grey images, 12 classes: six directions by two wavelengths.

    `0.5 + 0.25 sin(2 pi (x cos a + y sin a) / w + phase) + 0.15 n`, clipped to [0, 1]: a is a multiple of 30 degrees,
    w 3 or 6 pixels, the phase uniform, n standard normal. 1,800 for training, 300 each for validation and test.
    """
    generator = np.random.default_rng(0)
    labels = np.arange(2400) % 12
    angle, wavelength = np.pi * (labels % 6) / 6, np.where(labels < 6, 3.0, 6.0)
    y, x = np.mgrid[:8, :8]
    phase = generator.uniform(0, 2 * np.pi, len(labels))
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    wave = np.sin(2 * np.pi * along / wavelength[:, None, None] + phase[:, None, None])
    images = np.clip(0.5 + 0.25 * wave + 0.15 * generator.normal(size=wave.shape), 0, 1)
    return split_examples(images.reshape(len(labels), 64).astype(np.float32), labels, 300, (8, 8, 1))
