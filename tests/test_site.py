"""The site: its code runs, its pages name all that is public, its links lead somewhere, and it reads well on a phone."""

import functools
import http.server
import importlib
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from ax.storage.botorch_modular_registry import CLASS_TO_REGISTRY, CLASS_TO_REVERSE_REGISTRY
from botorch.models.model import Model
from site_code import agree, blocks, run_page

import pymc_botorch
import pymc_botorch.ax

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
OF_THEIR_OWN = {"means.md"}  # with a test of its own
CODE = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if path.name not in OF_THEIR_OWN and any(block.language == "python" for block in blocks(path.read_text()))
)
FACES = ("", "acquisition", "ax", "export", "plots", "predict", "sensitivity", "shape", "symbolic")
CALLED_BY_LIBRARIES = {  # methods of models that BoTorch, Ax, torch and the package itself call, or that refuse to be called
    *("added_loss_terms", "check_fit_options", "construct_inputs", "covar_module", "cuda", "custom_fit", "get_extra_state"),
    *("given_data", "likelihood", "name_data", "observation_jitter", "outcome_scale", "process", "pyro_model", "read_built"),
    *("as_raw_inputs", "read_inputs"),
    *("set_extra_state", "to"),
}
LIBRARIES = ("ax", "botorch", "gpytorch", "pymc_botorch")


def browser_path() -> str | None:
    """Where Chromium is: on the path, or where Playwright puts it."""
    if found := next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None):
        return found
    return next(map(str, pathlib.Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome")), None)


BROWSER = browser_path()
WIDTHS = {"phone": 390, "screen": 1280}


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages name their classes as they like: Ax keeps each by its name, once in a process."""
    for registry, is_own in ((CLASS_TO_REGISTRY, lambda k, v: k), (CLASS_TO_REVERSE_REGISTRY, lambda k, v: v)):
        kept = {
            k: v for k, v in registry[Model].items() if is_own(k, v).__module__.split(".")[0] in ("botorch", "pymc_botorch", "ax")
        }
        monkeypatch.setitem(registry, Model, kept)


@pytest.mark.usefixtures("empty_registry")
@pytest.mark.filterwarnings("ignore:A not p.d., added jitter")  # candidates of a batch that start close together
@pytest.mark.filterwarnings("ignore:Failed to compile fused qLogEHVI")  # BoTorch's own, where there is no C++ compiler
@pytest.mark.parametrize("page", CODE)
def test_the_code_of_a_page_prints_what_the_page_shows(
    page: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "field", raising=False)
    for block, printed in run_page(DOCS / page, tmp_path):
        assert agree(block.code, printed), f"{page}, line {block.line}, is out of date; printed was:\n{printed}"
    sys.modules.pop("field", None)


def named_on(page: pathlib.Path) -> list[str]:
    return re.findall(r"^::: pymc_botorch\.(\S+)$", page.read_text(), flags=re.MULTILINE)


def test_each_public_name_is_on_one_page_of_the_api() -> None:
    found = [name.rsplit(".", 1)[-1] for page in (DOCS / "api").glob("*.md") for name in named_on(page)]
    public = {
        name for face in FACES for name in importlib.import_module(f"pymc_botorch.{face}".rstrip(".")).__all__ if name != "config"
    }
    assert sorted(found) == sorted(public | {"Config", "DataError", "FitError", "UnsupportedGPError"})


def test_each_public_member_of_a_model_is_on_its_page_or_called_by_libraries() -> None:
    listed = set(re.findall(r"^        - (\w+)$", (DOCS / "api" / "models.md").read_text(), flags=re.MULTILINE))
    own = {
        name
        for kind in (pymc_botorch.PyMCGP, pymc_botorch.FullyBayesianPyMCGP)
        for base in inspect.getmro(kind)
        if base.__module__.startswith("pymc_botorch.")
        for name in vars(base)
        if not name.startswith("_")
    }
    assert own == listed | CALLED_BY_LIBRARIES
    assert not listed & CALLED_BY_LIBRARIES


def test_messages_that_are_explained_are_those_of_the_package() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "pymc_botorch").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # texts over several lines
    page = (DOCS / "choosing-a-model.md").read_text()
    terms = re.findall(r"^(`.+)\n:   ", page, flags=re.MULTILINE)
    phrases = [phrase for term in terms for phrase in re.findall(r"`(.+?)`(?: |$)", term)]
    assert len(phrases) > 10
    assert not [phrase for phrase in phrases if phrase not in source]


def anchors_of(markdown: str) -> set[str]:
    """Return the anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", markdown, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_first_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if urlsplit(link).scheme:
            continue
        path, anchor = urldefrag(link)
        assert not path or (ROOT / path).exists(), link
        target = text if not path else (ROOT / path).read_text() if path.endswith(".md") else ""
        assert not anchor or anchor in anchors_of(target), link


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def pages_of(site: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(site).parent.as_posix() for path in site.rglob("index.html"))


@pytest.mark.site
def test_links_and_images_of_the_site_lead_somewhere(site: pathlib.Path) -> None:
    from bs4 import BeautifulSoup

    parsed = {path: BeautifulSoup(path.read_text(), "html.parser") for path in site.rglob("index.html")}
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in parsed.items()}
    broken = []
    for path, page in parsed.items():
        base = f"/{path.relative_to(site).parent.as_posix()}/"
        for tag in page.find_all(["a", "img", "link", "script"]):
            link = tag.get("href") or tag.get("src")
            if not link or urlsplit(link).scheme:
                continue
            url, anchor = urldefrag(urljoin(base, link))
            target = site / unquote(url).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in ids and unquote(anchor) not in ids[target]):
                broken.append(f"{base}: {link}")
    assert not broken
    assert len(parsed) > 40


@pytest.fixture(scope="module")
def served(site: pathlib.Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.site
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_pages_load_in_a_browser_without_errors_and_fit_its_width(served: str, site: pathlib.Path, width: int) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    problems = []
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=BROWSER, args=options)
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: message.type == "error" and problems.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("response", lambda answer: answer.status >= 400 and problems.append(f"{answer.url}: {answer.status}"))
        page.on(
            "request", lambda asked: asked.url.startswith((served, "data:")) or problems.append(f"{page.url} asks {asked.url}")
        )
        for name in pages_of(site):
            page.goto(f"{served}{name}/")
            page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
            page.wait_for_function("[...document.images].every(image => image.complete)")
            missing = page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)")
            beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            problems += [f"{name}: {image} is missing" for image in missing]
            problems += [f"{name} is {beyond} pixels wider than {width}"] * (beyond > 0)
        browser.close()
    assert not problems


@pytest.mark.site
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_the_search_finds_a_name(served: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-background-networking"])
        page = browser.new_page()
        page.goto(served)
        page.fill("input[name=query]", "leave_one_out")
        page.wait_for_selector("a.md-search-result__link[href*=models]", state="attached")
        browser.close()
