"""Pages of the site that are made from other files: the gallery of the tutorials, and the changes."""

import base64
import io
import json
import pathlib
import re
from typing import Any

from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 640
"""Of a thumbnail, in pixels."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changes, and a thumbnail for each tutorial."""
    changes = re.sub(r"\]\(docs/", "](", (ROOT / "CHANGELOG.md").read_text())
    files.append(File.generated(config, "changes.md", content=changes))
    for path in tutorials():
        files.append(File.generated(config, f"gallery/{path.stem}.png", content=thumbnail(path, _chosen(path.stem))))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to tutorials to their pages, and write a card of each where a page has ``<!-- gallery -->``."""
    markdown = re.sub(r"\]\(((?:\.\./)*)\.\./tutorials/", r"](\1tutorials/", markdown)
    if "<!-- gallery -->" not in markdown:
        return markdown
    only = page.meta.get("tutorials")
    cards = "\n".join(card(path) for path in tutorials() if only is None or path.stem[:2] in only)
    return markdown.replace("<!-- gallery -->", f'<div class="grid cards gallery" markdown>\n\n{cards}\n</div>')


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Take what is written for GitHub to the site: bars in tables, and links to docs/, anchors and dollars of notebooks."""
    html = re.sub(r"<code>.*?</code>", lambda found: found.group().replace("\\|", "|"), html, flags=re.DOTALL)
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    html = re.sub(r'href="\.\./docs/([\w-]+)\.md', r'href="../../\1/', html)
    html = re.sub(r'href="#([^"]+)"', lambda found: f'href="#{slugify(found.group(1), "-")}"', html)
    parts = re.split(r"(<pre.*?</pre>)", html, flags=re.DOTALL)
    return "".join(part if part.startswith("<pre") else part.replace("\\$", "$") for part in parts)


def on_post_page(output: str, **_: Any) -> str:
    """Leave out the script of mkdocs-jupyter that would load MathJax from another host: no notebook has formulas."""
    return re.sub(r"<script data-mkdocs-jupyter-mathjax=.*?</script>", "", output, flags=re.DOTALL)


def tutorials() -> list[pathlib.Path]:
    """Return the notebooks, in their order."""
    return sorted((ROOT / "tutorials").glob("*.ipynb"))


def card(path: pathlib.Path) -> str:
    """Return a thumbnail, the title and the question of a notebook, as an item of a list."""
    first = "".join(json.loads(path.read_text())["cells"][0]["source"])
    found = re.match(r"# (.+?)\n+\*\*(.+?)\*\*", first, flags=re.DOTALL)
    if found is None:
        raise ValueError(f"{path.name} does not begin with a title and a question in bold. Write '# Title' and '**Question?**'.")
    title, question = found.group(1), " ".join(found.group(2).split())
    return (
        f"-   [![{title}](gallery/{path.stem}.png){{ loading=lazy }}](tutorials/{path.name})\n\n"
        f"    **[{title}](tutorials/{path.name})**\n\n    {question}\n"
    )


def thumbnail(path: pathlib.Path, number: int = 0) -> bytes:
    """Return a figure of a notebook, the first unless another number is given, as a small PNG."""
    outputs = (o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", []))
    figures = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    image = Image.open(io.BytesIO(base64.b64decode(figures[number]))).convert("RGB")
    image.thumbnail((WIDTH, WIDTH))
    small = io.BytesIO()
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def _chosen(stem: str) -> int:
    """Return the number of the figure that docs/gallery.md names for a notebook, or 0."""
    found = re.search(rf"^  {re.escape(stem)}: (\d+)$", (ROOT / "docs" / "gallery.md").read_text(), flags=re.MULTILINE)
    return int(found.group(1)) if found else 0
