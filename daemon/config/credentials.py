"""Secrets and other files a configuration names: `KEY_file` becomes `KEY`, and a relative path is found.

A relative path is looked for in `$CREDENTIALS_DIRECTORY`, where systemd's LoadCredential= puts files (systemd.exec(5)),
then beside the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.config.faults import Fault, key, shown
from daemon.config.models import Section, StoreSection

#: The store's keys need not be there before credentials are stored, so the file of this name may be absent.
STORE_KEY = "store.key"
#: A file of a secret is small; one that is not was named by mistake.
_LARGEST = 65_536


@dataclass(frozen=True, slots=True)
class Files:
    """Where named files are looked for."""

    credentials: Path | None
    beside: Path

    def find(self, name: str) -> Path:
        """The path of a file by its name in the configuration; `ValueError` where there is none."""
        path = Path(name)
        candidates = [path] if path.is_absolute() else [d / path for d in (self.credentials, self.beside) if d]
        for candidate in candidates:
            try:
                candidate.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                pass  # it is there, and opening it will say what is wrong
            return candidate
        raise ValueError(f"{name} cannot be read: {self._where(path)}")

    def _where(self, path: Path) -> str:
        if path.is_absolute():
            return "there is no such file"
        credentials = f"in $CREDENTIALS_DIRECTORY ({self.credentials}) nor " if self.credentials else ""
        return f"there is no such file {credentials}beside the configuration ({self.beside})"

    def read(self, name: Any) -> str:
        """The text of a secret's file without its trailing newline; `ValueError` says why it cannot be read."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"is {shown(name)}: write the name of a file")
        path = self.find(name)
        content = _content(path)
        if len(content) > _LARGEST:
            raise ValueError(f"{path} is too large to be a secret: {_LARGEST:,} octets at most")
        try:
            text = content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8 text") from None
        if not text:
            raise ValueError(f"{path} is empty")
        return text


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def resolve(
    section: type[Section], table: Mapping[str, Any], place: tuple[str | int, ...], files: Files
) -> tuple[dict[str, Any], list[Fault]]:
    """The table with every `KEY_file` read into its KEY and every file found; what fails is a fault, and left out."""
    resolved, faults = dict(table), []
    if section is StoreSection:
        _place_store_key(resolved, files)
    for name in section.secrets():
        file = f"{name}_file"
        if file not in resolved:
            continue
        written = resolved.pop(file)
        if name in resolved:
            faults.append(Fault(key(*place, name), f"is written twice: keep {name} or {file}"))
            continue
        try:
            resolved[name] = files.read(written)
        except ValueError as error:
            faults.append(Fault(key(*place, file), str(error)))
    for name in section.files():
        if not isinstance(resolved.get(name), str):
            continue  # absent, or a fault of its own
        try:
            resolved[name] = files.find(resolved[name])
            _content(resolved[name])
        except ValueError as error:
            faults.append(Fault(key(*place, name), str(error)))
            del resolved[name]
    return resolved, faults


def _place_store_key(table: dict[str, Any], files: Files) -> None:
    """`secret_file` is `store.key` where nothing else is written, and that one may be absent."""
    if "secret" in table or table.setdefault("secret_file", STORE_KEY) != STORE_KEY:
        return
    try:
        files.find(STORE_KEY)
    except ValueError:
        del table["secret_file"]
