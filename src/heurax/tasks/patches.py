"""Images as sequences of patches."""

from jaxtyping import Array, Float

__all__ = ["check_patches", "patches"]


def patches(images: Float[Array, "batch height width channels"], side: int) -> Float[Array, "batch patches pixels"]:
    """Cut images into square patches, row by row.

    >>> import jax.numpy as jnp
    >>> patches(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, 1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // side, side, width // side, side, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, side * side * channels)


def check_patches(side: int, image_shape: tuple[int, int, int]) -> None:
    """Raise ValueError where patches do not tile an image."""
    height, width, _ = image_shape
    if height % side or width % side:
        raise ValueError(f"patch must divide the images' sides, {height} and {width}, got {side}")
