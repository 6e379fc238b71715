"""Files that are given as banners: pictures tell their size, a zip becomes one page."""

import struct
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.creatives.bundle import FILES_MAX, NotABundle, markup_of


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00"


def png(width: int, height: int) -> bytes:
    head = struct.pack(">I4sII", 13, b"IHDR", width, height)
    return b"\x89PNG\r\n\x1a\n" + head + b"\x08\x02"


def jpeg(width: int, height: int) -> bytes:
    """A comment before the frame, as cameras write them."""
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"note"
    return b"\xff\xd8" + comment + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width)


def webp(chunk: bytes, rest: bytes) -> bytes:
    return b"RIFF\x00\x00\x00\x00WEBP" + chunk + rest


@given(width=st.integers(1, 16_383), height=st.integers(1, 16_383))
def test_a_picture_tells_its_size(width, height):
    extended = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    lossless = ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    for picture in (
        gif(width, height),
        png(width, height),
        jpeg(width, height),
        webp(b"VP8X", bytes(8) + extended),
        webp(b"VP8L", bytes(4) + b"\x2f" + lossless),
        webp(b"VP8 ", bytes(10) + struct.pack("<HH", width, height)),
    ):
        given = markup_of(picture)
        assert (given.width, given.height) == (width, height)
        assert given.html.startswith('<img src="data:image/')


@given(content=st.binary(max_size=200), cut=st.integers(0, 40))
def test_whatever_a_file_holds_it_is_taken_or_refused(content, cut):
    for start in (b"", b"PK\x03\x04", png(3, 2)[:cut], jpeg(3, 2)[:cut], gif(3, 2)[:cut]):
        try:
            markup_of(start + content)
        except NotABundle as error:
            assert str(error)


def packed(files: dict[str, str]) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def test_what_a_page_names_elsewhere_stays():
    page = (
        '<script src="https://cdn.example/a.js"></script><a href="https://x.example/a.png">x</a>'
        '<a href="${CLICK_URL}"><img src="data:image/gif;base64,AA=="></a><div data="plain"></div>'
    )
    assert markup_of(packed({"index.html": page})).html == page


def test_a_script_cannot_close_itself_early():
    files = {"a.html": '<script src="a.js"></script>', "a.js": 'x = "</script><b>";'}
    assert markup_of(packed(files)).html == '<script>x = "<\\/script><b>";</script>'


def test_a_broken_member_of_a_zip_is_refused():
    content = bytearray(packed({"index.html": "<b>" + "Ad " * 300}))
    content[40:60] = bytes(20)
    with pytest.raises(NotABundle, match="the zip cannot be read"):
        markup_of(bytes(content))


def test_a_zip_of_too_many_files_is_refused_before_it_is_unpacked():
    many = {f"{number}.txt": "" for number in range(FILES_MAX)} | {"index.html": ""}
    with pytest.raises(NotABundle, match="at most 64 files are expected, found 65"):
        markup_of(packed(many))


def test_paths_outside_the_zip_are_not_there():
    with pytest.raises(NotABundle, match="does not hold"):
        markup_of(packed({"index.html": '<img src="../../secret.png">'}))
