"""What the site has besides the pages of this folder: examples, study files, and the project's own pages.

Pages link to them as files of the repository, so that they read well there too; here the links lead to pages.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
SOURCES = ("examples/*.py", "examples/snakemake/Snakefile", "ptvkit/request/*.toml")
LANGUAGES = {".py": "python", ".toml": "toml", "": "python"}
LINK = re.compile(r"\]\(((?:\.\./)*)([^):#]+)((?:#[^)]*)?)\)")
NETWORK = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?https?:|<link\b(?![^>]*rel=["']?(?:canonical|alternate))[^>]*\bhref=["']?https?:"""
    r"""|@import\s+["']?(?:url\()?["']?https?:|url\(["']?https?:"""
)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made of files outside this folder."""
    for name in PROJECT:
        files.append(File.generated(config, f"project/{name}", content=(ROOT / name).read_text(encoding="utf-8")))
    for path in (path for pattern in SOURCES for path in sorted(ROOT.glob(pattern))):
        text = path.read_text(encoding="utf-8").rstrip()
        content = f"# {path.name}\n\n```{LANGUAGES[path.suffix]}\n{text}\n```\n"
        files.append(File.generated(config, _page_of(path.relative_to(ROOT).as_posix()), content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links to files of the repository to their pages."""
    here = page.file.src_uri
    place = here.removeprefix("project/") if here.startswith("project/") else f"docs/{here}"

    def linked(found: re.Match[str]) -> str:
        up, rest, anchor = found.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), up + rest))
        target = target.removeprefix("docs/") if target.startswith("docs/") else _page_of(target)
        if files.get_file_from_path(target) is None:
            return found.group(0)
        return f"]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(linked, markdown)


def on_post_build(config: Any) -> None:
    """Refuse a site that would ask the network for anything."""
    for path in sorted(Path(config["site_dir"]).rglob("*")):
        if path.suffix in (".html", ".css") and (found := NETWORK.search(path.read_text(encoding="utf-8"))):
            raise PluginError(f"{path}: asks the network: {found.group(0)[:120]}")


def _page_of(name: str) -> str:
    return f"project/{name}" if name in PROJECT else f"source/{name}.md"
