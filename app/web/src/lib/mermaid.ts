import type { Mermaid } from "mermaid";

/**
 * Mermaid, loaded on first use (it weighs more than the rest of the page), one drawing at a time since its
 * configuration is global. securityLevel "strict": labels are text, links and scripts are dropped.
 */

let loading: Promise<Mermaid> | null = null;
let queue: Promise<unknown> = Promise.resolve();
let count = 0;

const FONT = '"Inter Variable", "Segoe UI", "DejaVu Sans", sans-serif';

const LIGHT = {
  background: "#ffffff",
  primaryColor: "#e0f1f4",
  primaryTextColor: "#0c2730",
  primaryBorderColor: "#0a6c80",
  lineColor: "#45606a",
  textColor: "#0c2730",
  edgeLabelBackground: "#ffffff",
  ...slices(["#8cc9d6", "#ffc78f", "#b5dba8", "#d3b9ec", "#f5b3c2", "#ecd77a"], "#0c2730", "#ffffff"),
};
const DARK = {
  background: "#0f2129",
  primaryColor: "#14323d",
  primaryTextColor: "#e6f3f6",
  primaryBorderColor: "#6fd4e3",
  lineColor: "#a0bac3",
  textColor: "#e6f3f6",
  edgeLabelBackground: "#0f2129",
  // Rows of entities, which are white unless told otherwise.
  rowOdd: "#0f2129",
  rowEven: "#14323d",
  // Ideas of mind maps and periods of timelines, which are black unless told otherwise.
  git0: "#1f6070",
  ...Object.fromEntries([193, 24, 130, 268, 340, 48].map((hue, index) => [`cScale${index}`, `hsl(${hue}, 40%, 25%)`])),
  ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`cScaleLabel${index}`, "#e6f3f6"])),
  ...slices(["#1f7f93", "#a05a2c", "#3d7d45", "#7553a5", "#a3446a", "#7d6a1c"], "#ffffff", "#0f2129"),
};

/** The colours of a pie. */
function slices(colours: readonly string[], text: string, line: string): Record<string, string> {
  return {
    ...Object.fromEntries(colours.map((colour, index) => [`pie${index + 1}`, colour])),
    pieSectionTextColor: text,
    pieStrokeColor: line,
    pieOuterStrokeWidth: "0px",
    pieOpacity: "1",
  };
}

async function load(): Promise<Mermaid> {
  loading ??= import("mermaid").then((module) => module.default);
  try {
    return await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
}

async function draw(code: string, dark: boolean): Promise<string> {
  const mermaid = await load();
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    theme: "base",
    darkMode: dark,
    themeVariables: { fontFamily: FONT, fontSize: "15px", ...(dark ? DARK : LIGHT) },
    fontFamily: FONT,
    htmlLabels: false,
    // The label of an idea begins at its middle, as text that is centred would.
    themeCSS: ".mindmap-node text { text-anchor: middle; }",
    gantt: { useWidth: 760, leftPadding: 150, barHeight: 26, barGap: 6, fontSize: 13, sectionFontSize: 13 },
    journey: { taskFontFamily: FONT, taskFontSize: 14, titleFontFamily: FONT, titleFontSize: "20px" },
    flowchart: {
      useMaxWidth: false,
      htmlLabels: false,
      curve: "basis",
      nodeSpacing: 28,
      rankSpacing: 32,
      padding: 10,
      wrappingWidth: 190,
    },
  });
  // Boxes are measured with the font they will be shown in.
  await document.fonts.load('15px "Inter Variable"').catch(() => []);
  count += 1;
  const id = `frigo-diagram-${count}`;
  try {
    const { svg } = await mermaid.render(id, code);
    // Members of classes are the one text in which Mermaid leaves its codes of characters when it is not HTML.
    return svg.includes('class="classDiagram"') ? svg.replace(/&amp;#(\d+);/g, "&#$1;") : svg;
  } finally {
    // What a failed drawing leaves behind.
    document.getElementById(`d${id}`)?.remove();
  }
}

/** SVG text of a diagram; rejects with the parser's message when the text is not valid Mermaid. */
export function renderDiagram(code: string, dark: boolean): Promise<string> {
  const turn = queue.then(() => draw(code, dark));
  queue = turn.catch(() => undefined);
  return turn;
}

/** The graph's node id behind a drawn node: "frigo-diagram-3-flowchart-n12-5" → "n12". */
export function nodeIdOf(elementId: string): string | null {
  return /(?:^|-)flowchart-(.+)-\d+$/.exec(elementId)?.[1] ?? null;
}
