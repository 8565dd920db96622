"""What axe-core finds wrong on a page: WCAG 2.2 AA, and the usual good practices."""

from playwright.sync_api import Page

from scripts.environment import ROOT

AXE = ROOT / "app/web/node_modules/axe-core/axe.min.js"
# « region » wants menus and dialogs, which are put at the end of the page, to be in a landmark.
_RUN = """async ([rules, within]) => {
    const only = rules.length ? rules : ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const options = { resultTypes: ['violations'], runOnly: only, rules: { region: { enabled: false } } };
    const { violations } = await axe.run(within || document, options);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}"""


def faults(page: Page, *rules: str, within: str = "") -> list[str]:
    """Each fault with the element that has it; of these rules of axe's alone when some are given.

    `within` is the selector of the part of the page that is looked at: a whole page of a thousand elements takes long.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
    found: list[str] = page.evaluate(_RUN, [list(rules), within])
    return found
