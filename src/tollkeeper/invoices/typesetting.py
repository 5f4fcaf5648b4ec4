"""PDFs by typst: PDF/A-2a and PDF/UA-1, any script, beside the event loop.

Data goes in as JSON, never as markup. A compiler is kept per thread with its template read and its
fonts loaded, which is what makes a page take milliseconds; typst lets other threads run meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import unicodedata
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, cast

import pymupdf_fonts
import typst
from anyascii import anyascii

Template = Literal["invoice", "statement"]
Data = dict[str, Any]

TEMPLATES: Final = Path(__file__).with_name("templates")
STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
_FONTS: Final = ("figo", "figbo")  # FiraGO, regular and bold
_CJK: Final = "noto_cjk_sans_otc"
# Chinese characters have the forms of the country that the address is in.
_FORMS: Final = {"JP": "JP", "KR": "KR", "TW": "TC", "HK": "HK", "MO": "HK"}
# What PDF/A export says instead of drawing an empty box.
_NO_GLYPH: Final = re.compile(r'the text `?"(?P<text>.+?)"`? could not be displayed', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\u\{(?P<code>[0-9a-f]+)\}")
# Each try is rid of one script at least; a name in more scripts than that is a joke.
_MOST_TRIES: Final = 20
# Control characters, halves of a character, and what Unicode gives no meaning.
_UNPRINTABLE: Final = ("Cc", "Cs", "Co", "Cn")


class Typesetter:
    """Sets PDFs in threads of its own, at most `threads` at a time. The first one reads the fonts:
    those that came along, those of the system, and those of `font_dirs`."""

    def __init__(
        self, font_dirs: Sequence[str] = (), *, threads: int = 2, system_fonts: bool = True
    ) -> None:
        self._font_dirs = font_dirs
        self._system_fonts = system_fonts
        self._fonts: typst.Fonts | None = None
        self._directory: TemporaryDirectory[str] | None = None
        self._loading = threading.Lock()
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="typst")

    @classmethod
    @contextmanager
    def open(
        cls, font_dirs: Sequence[str] = (), *, threads: int = 2, system_fonts: bool = True
    ) -> Generator[Typesetter]:
        setter = cls(font_dirs, threads=threads, system_fonts=system_fonts)
        try:
            yield setter
        finally:
            setter._pool.shutdown()
            if setter._directory is not None:
                setter._directory.cleanup()

    async def set(self, template: Template, data: Data, at: datetime) -> bytes:
        """Return the PDF, dated `at`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.set_now, template, data, at)

    def set_now(self, template: Template, data: Data, at: datetime) -> bytes:
        """The same in this thread."""
        data = {
            **_each_text(data, _printable),
            "cjk": f"Noto Sans CJK {_FORMS.get(data['country'] or '', 'SC')}",
        }
        data["shows_romanised"] = False
        for _ in range(_MOST_TRIES):
            try:
                return self._compile(template, data, at)
            except typst.TypstError as error:
                missing = _NO_GLYPH.search(error.message)
                if missing is None:
                    raise
                data = {**_romanise(data, _unescape(missing["text"])), "shows_romanised": True}
        return self._compile(template, _in_ascii(data), at)

    def _compile(self, template: Template, data: Data, at: datetime) -> bytes:
        compiler = getattr(self._local, template, None)
        if compiler is None:
            compiler = typst.Compiler(
                TEMPLATES / f"{template}.typ", root=TEMPLATES, font_paths=self._all_fonts()
            )
            setattr(self._local, template, compiler)
        made = compiler.compile(
            sys_inputs={"data": json.dumps(data)},
            format="pdf",
            pdf_standards=STANDARDS,
            timestamp=int(at.timestamp()),
        )
        assert isinstance(made, bytes)  # noqa: S101 (a PDF is one file)
        return made

    def _all_fonts(self) -> typst.Fonts:
        with self._loading:
            if self._fonts is None:
                self._directory = TemporaryDirectory(prefix="tollkeeper-fonts-")
                for name in _FONTS:
                    font: bytes = pymupdf_fonts.myfont(name)  # pyright: ignore[reportUnknownMemberType] (untyped)
                    Path(self._directory.name, f"{name}.ttf").write_bytes(font)
                self._fonts = typst.Fonts(
                    include_system_fonts=self._system_fonts,
                    include_embedded_fonts=False,
                    font_paths=[self._directory.name, *_package_dir(_CJK), *self._font_dirs],
                )
            return self._fonts


def _package_dir(name: str) -> list[str]:
    """The directory of a package that is files; without running anything of it."""
    spec = find_spec(name)
    return [] if spec is None else list(spec.submodule_search_locations or ())


def _romanise(value: Any, missing: str) -> Any:
    """Write the script of `missing` in Latin letters, wherever it is."""
    scripts = {_script(char) for char in missing if not char.isascii()}

    def write(text: str) -> str:
        return "".join(anyascii(char) if _script(char) in scripts else char for char in text)

    return _each_text(value, write)


def _in_ascii(value: Any) -> Any:
    return _each_text(value, anyascii)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _each_text(member, change) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [_each_text(member, change) for member in cast("Sequence[Any]", value)]
    return value


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found["code"], 16)), text)


def _printable(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) not in _UNPRINTABLE)


def _script(char: str) -> str:
    """The script of a letter by its Unicode name, such as ARMENIAN; other signs are their own."""
    if unicodedata.category(char)[0] in "LM":
        return unicodedata.name(char, char).split()[0]
    return char
