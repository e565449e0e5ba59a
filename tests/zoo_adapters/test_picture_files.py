"""Files of pictures: modes, orientation, transparency, depth, and what cannot be read."""

from __future__ import annotations

import struct
import warnings
import zlib

import PIL.Image
import PIL.ImageCms
import pytest
import torch

from featvis.model import WrongRequest
from tests.support.drawn import encoded, scene, taker
from zoo_adapters import read_image
from zoo_adapters.pictures import upright

RED, WHITE = (255, 0, 0), (255, 255, 255)


def colour(picture, at=(0, 0)):
    return upright(picture).getpixel(at)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    straight = scene(30, 50)
    turn = PIL.Image.Transpose
    undo = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    stored = straight.transpose(undo[orientation]) if orientation > 1 else straight
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    file = encoded(stored, exif=exif)
    assert upright(file).tobytes() == straight.tobytes()
    assert read_image(file, taker()).original == (30, 50)


def test_transparent_pictures_lie_on_white():
    clear = PIL.Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    clear.putpixel((1, 0), (*RED, 255))
    clear.putpixel((2, 0), (*RED, 128))
    assert colour(clear) == WHITE
    assert colour(clear, (1, 0)) == RED
    assert colour(encoded(clear), (2, 0)) == (255, 127, 127)
    assert colour(PIL.Image.new("LA", (2, 2), (0, 0))) == WHITE
    assert colour(PIL.Image.new("LA", (2, 2), (0, 255))) == (0, 0, 0)


def test_palettes_are_looked_up_and_their_transparency_lies_on_white():
    palette = PIL.Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert colour(palette) == RED
    assert colour(encoded(palette, transparency=1), (1, 0)) == WHITE
    assert colour(encoded(palette, "GIF", transparency=0)) == WHITE
    assert colour(palette.convert("PA")) == RED


def test_a_transparent_colour_of_an_rgb_png_lies_on_white():
    assert colour(encoded(PIL.Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))) == WHITE


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_white_is_white_in_every_mode(mode):
    assert colour(PIL.Image.new("RGB", (3, 3), "white").convert(mode)) == WHITE


def test_lab_is_converted_by_its_definition():
    lab, srgb = PIL.ImageCms.createProfile("LAB"), PIL.ImageCms.createProfile("sRGB")
    red = PIL.Image.new("RGB", (3, 3), (200, 30, 40))
    made = PIL.ImageCms.profileToProfile(red, srgb, lab, outputMode="LAB")
    assert colour(encoded(made, "TIFF")) == pytest.approx((200, 30, 40), abs=3)


def test_cmyk_jpegs_are_not_inverted():
    file = encoded(PIL.Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG", quality=95)
    red, green, blue = colour(file)
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format):
    deep = PIL.Image.frombytes("I;16", (4, 1), struct.pack("<4H", 0, 257, 32896, 65535))
    made = upright(encoded(deep, format))
    assert [made.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 128, 255]


def test_dark_16_bit_grey_stays_dark():
    deep = PIL.Image.frombytes("I;16", (2, 1), struct.pack("<2H", 100, 200))
    assert colour(encoded(deep), (1, 0)) == (1, 1, 1)


def test_deeper_grey_is_scaled_by_its_range():
    for mode, kind, values, expected in [
        ("I", "i", (0, 128, 255), [0, 128, 255]),
        ("I", "i", (-5, 32896, 65535), [0, 128, 255]),
        ("I", "i", (0, 10**6, 2 * 10**6), [0, 128, 255]),
        ("F", "f", (0.0, 0.5, 1.0), [0, 128, 255]),
        ("F", "f", (0.0, 128.0, 255.0), [0, 128, 255]),
        ("F", "f", (float("nan"), 0.2, 1.0), [0, 51, 255]),
    ]:
        deep = PIL.Image.frombytes(mode, (3, 1), struct.pack(f"<3{kind}", *values))
        made = upright(deep)
        assert [made.getpixel((x, 0))[1] for x in range(3)] == expected


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_read(format):
    frames = [PIL.Image.new("RGB", (8, 8), name) for name in ("red", "blue")]
    lossless = {"lossless": True} if format == "WEBP" else {}
    file = encoded(frames[0], format, save_all=True, append_images=frames[1:], **lossless)
    assert colour(file) == RED


@pytest.mark.parametrize("original", [(1, 1), (1, 20_000), (20_000, 1)], ids=str)
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_extreme_pictures_are_read(original, mode):
    picture = PIL.Image.new("RGB", (original[1], original[0]), RED)
    image = read_image(picture, taker((64, 64), crop_mode=mode))
    middle = image.values[0, :, 31:33, 31:33].flatten(1).T.tolist()
    assert [1, 0, 0] in middle
    assert image.original == original


def test_path_bytes_and_picture_are_the_same(tmp_path):
    picture = scene(60, 80)
    file = tmp_path / "a picture.png"
    file.write_bytes(encoded(picture))
    made = [read_image(p, taker()).values for p in (file, str(file), file.read_bytes(), picture)]
    assert all(torch.equal(made[0], other) for other in made)


def test_the_callers_picture_is_left_as_it_was():
    picture = PIL.Image.new("P", (5, 4))
    before = picture.tobytes(), picture.mode
    read_image(picture, taker())
    assert (picture.tobytes(), picture.mode) == before


# --- what cannot be read --------------------------------------------------------------------------


def header(width, height):
    """A PNG that says how large it is, and ends there."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b""))


def refused(picture):
    with pytest.raises(WrongRequest) as caught:
        read_image(picture, taker())
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("size", [(6_000, 5_000), (10_000, 10_000), (60_000, 60_000)], ids=str)
def test_too_large_pictures_are_refused_before_they_are_decoded(size):
    limit = PIL.Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        said = refused(header(*size))
    assert "24 million" in said
    assert limit == PIL.Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_files_are_refused(format):
    file = encoded(scene(200, 300), format)
    refused(file[: len(file) // 2])


@pytest.mark.parametrize("file", [b"", b"no picture", b"<svg></svg>", header(0, 5)], ids=repr)
def test_what_is_no_picture_is_refused(file):
    refused(file)


def test_missing_files_and_folders_are_refused(tmp_path):
    assert "nowhere.png" in refused(tmp_path / "nowhere.png")
    assert str(tmp_path) in refused(str(tmp_path))
    assert "http" in refused("https://example.org/cat.jpg")
