"""What holds for the whole house: which way imports go, whose the names are, what is locked, what files may not say."""

import ast
import importlib.metadata
import importlib.util
import json
import logging
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

import daemon

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("daemon", "gateway", "filters")
LOCKS = ("build", "run", "test")


def project() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def committed() -> list[Path]:
    """Every file git knows, or would after `git add`."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in listed if name and (path := ROOT / name).is_file()]


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def locked(name: str) -> dict[NormalizedName, tuple[Requirement, list[str]]]:
    """The requirements of one locked file, each with its hashes."""
    joined = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        specifier, *hashes = line.split("--hash=")
        requirement = Requirement(specifier.strip())
        found[canonicalize_name(requirement.name)] = (requirement, [text.strip() for text in hashes])
    return found


def version_of(requirement: Requirement) -> Version:
    (pin,) = requirement.specifier
    assert pin.operator == "==", f"{requirement} is not pinned"
    return Version(pin.version)


# Imports


def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def test_imports_go_one_way() -> None:
    built = graph()
    floors = {package: number for number, package in enumerate(PACKAGES)}
    upwards = [
        f"{module} imports {imported}"
        for module in built.modules
        if (floor := floors.get(module.split(".")[0])) is not None
        for imported in built.find_modules_directly_imported_by(module)
        if floors.get(imported.split(".")[0], floor) < floor
    ]
    assert upwards == []


def test_the_house_imports_neither_its_tests_nor_their_tools() -> None:
    tools = {"tests", "pytest", "hypothesis", "_pytest", "grimp", "importlinter", "mypy"}
    assert tools & graph().modules == set()


def test_filters_do_no_input_or_output() -> None:
    forbidden = {"asyncio", "socket", "ssl", "select", "subprocess", "sqlite3", "sqlalchemy", "psycopg", "threading"}
    built = graph()
    found = [
        f"{module} imports {imported}"
        for module in built.modules
        if module.split(".")[0] == "filters"
        for imported in built.find_modules_directly_imported_by(module)
        if imported.split(".")[0] in forbidden
    ]
    assert found == []


def test_filters_have_no_clock() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in sorted((ROOT / "filters").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and re.fullmatch(
            r"(datetime|date|time)(\.\w+)*\.(now|utcnow|today|time|time_ns|monotonic)", ast.unparse(node.func)
        )
    ]
    assert found == []


# Names


@pytest.mark.parametrize("name", PACKAGES)
def test_the_three_names_are_ours(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", PACKAGES)
def test_no_installed_package_brings_one_of_the_three_names(name: str) -> None:
    others = {
        distribution.metadata["Name"]
        for distribution in importlib.metadata.distributions()
        for file in distribution.files or ()
        if file.parts[0] in (name, f"{name}.py") and distribution.metadata["Name"] != "tocsin"
    }
    assert others == set(), f"{others} would be imported as {name}"


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    # `numbers` is a word of the vocabulary, and only ever imported as gateway.numbers.
    taken = sys.stdlib_module_names - {"numbers"}
    names = {path: path.parent.name if path.stem == "__init__" else path.stem for path in modules()}
    assert [str(path.relative_to(ROOT)) for path, name in names.items() if name in taken] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)")
    assert [str(path.relative_to(ROOT)) for path in modules() if vague.search(path.stem)] == []


def test_no_file_is_longer_than_600_lines() -> None:
    sources = [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    assert {name: length for name, length in lengths.items() if length > 600} == {}


# The log


def logged_facts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names of facts given to the log: keys of `extra`, wherever it is written, and keywords of functions that log."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func).rsplit(".", 1)[-1]
            for keyword in node.keywords:
                if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                    yield from ((node.lineno, ast.literal_eval(key)) for key in keyword.value.keys if key is not None)
                elif re.fullmatch(r"_log(_\w+)?", function) and keyword.arg:
                    yield node.lineno, keyword.arg
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            if "action" in keys:
                yield from ((node.lineno, str(key)) for key in keys)


def test_no_fact_of_the_log_has_a_name_that_logging_keeps_for_itself() -> None:
    # logging raises KeyError on these, and only where the level lets the record be made: too late for a test to notice.
    kept = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules()
        for line, name in logged_facts(ast.parse(path.read_text()))
        if name in kept
    ]
    assert found == []


# What is locked


@pytest.mark.parametrize("name", LOCKS)
def test_locked_requirements_are_pinned_and_carry_hashes(name: str) -> None:
    for requirement, hashes in locked(name).values():
        assert not version_of(requirement).is_devrelease
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in hashes)


@pytest.mark.parametrize("name", LOCKS)
def test_locked_requirements_name_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert re.findall(r"://|^\s*-[^-]|--(?!hash=)\S+", text, re.MULTILINE) == []


def declared() -> Iterator[tuple[str, str]]:
    for name in project()["project"]["dependencies"]:  # type: ignore[attr-defined]
        yield "run", name
    for name in project()["dependency-groups"]["test"]:  # type: ignore[attr-defined]
        yield "test", name
    for name in project()["build-system"]["requires"]:  # type: ignore[attr-defined]
        yield "build", name


@pytest.mark.parametrize(("lock", "text"), list(declared()))
def test_every_dependency_is_locked_at_a_version_it_allows(lock: str, text: str) -> None:
    wanted = Requirement(text)
    requirement, _ = locked(lock)[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(version_of(requirement), prereleases=True)


def test_the_locked_files_agree_with_each_other() -> None:
    versions: dict[NormalizedName, set[Version]] = {}
    for lock in LOCKS:
        for name, (requirement, _) in locked(lock).items():
            versions.setdefault(name, set()).add(version_of(requirement))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {
        canonicalize_name(found.metadata["Name"]): found.version for found in importlib.metadata.distributions()
    }
    differing = {
        name: installed.get(name)
        for lock in LOCKS
        for name, (requirement, _) in locked(lock).items()
        if (requirement.marker is None or requirement.marker.evaluate())
        and installed.get(name) != str(version_of(requirement))
    }
    assert differing == {}


def test_node_smpp_is_pinned_with_hashes_and_without_addresses() -> None:
    folder = ROOT / "tests" / "peers"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_no_committed_file_names_a_registry() -> None:
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("deb.debian", "org")]
    named = re.compile("|".join(re.escape(".".join(host)) for host in hosts).encode())
    assert [str(path.relative_to(ROOT)) for path in committed() if named.search(path.read_bytes())] == []


# What a reader is told


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_make_command_in_the_pages_exists() -> None:
    for page in pages():
        named = set(re.findall(r"(?:^\s*|`)make ([a-z][\w-]*)", page.read_text(), re.MULTILINE))
        assert named <= targets(), page


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in pages():
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"[a-z]+:|#", link):
                assert (page.parent / link.split("#")[0]).exists(), f"{page.relative_to(ROOT)}: {link}"


def test_versions_agree() -> None:
    assert importlib.metadata.version("tocsin") == daemon.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{daemon.__version__}]" in changelog or "## [Unreleased]" in changelog


def test_the_oldest_python_is_the_same_everywhere() -> None:
    told = project()
    floor = Version(str(told["project"]["requires-python"]).removeprefix(">="))
    named = [text.rsplit(" ", 1)[1] for text in told["project"]["classifiers"] if ":: 3." in text]  # type: ignore[attr-defined]
    assert min(map(Version, named)) == floor
    assert told["tool"]["ruff"]["target-version"] == f"py{floor.major}{floor.minor}"  # type: ignore[index]
    assert told["tool"]["mypy"]["python_version"] == str(floor)  # type: ignore[index]
    assert f"--python-version {floor}" in (ROOT / "Makefile").read_text()


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {str(path.relative_to(ROOT)) for path in committed() if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert held == ours
    assert wheel.name.startswith(f"tocsin-{daemon.__version__}-")
