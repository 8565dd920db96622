import interUrl from "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2?url";
import { saveBlob, saveText } from "./download";
import { base64 } from "./live";
import { renderDiagram } from "./mermaid";

/**
 * A diagram as a file that stands alone: SVG, or PNG drawn by this page. Always in the light colours, since it goes
 * into documents. The font goes along: boxes were measured with it.
 */

export type Ground = "white" | "transparent";

const SCALE = 2;
/** What a browser's canvas can hold: pixels of a side, and of the whole. */
const MAX_SIDE = 16_384;
const MAX_AREA = 120_000_000;

let font: Promise<string> | null = null;

function fontFace(): Promise<string> {
  font ??= fetch(interUrl)
    .then(async (answer) => {
      if (!answer.ok) throw new Error(String(answer.status));
      const data = base64(new Uint8Array(await answer.arrayBuffer()));
      return `@font-face{font-family:"Inter Variable";font-weight:100 900;src:url(data:font/woff2;base64,${data}) format("woff2");}`;
    })
    .catch(() => {
      font = null;
      return "";
    });
  return font;
}

interface Picture {
  svg: string;
  width: number;
  height: number;
}

/** The diagram as an SVG text with its size in pixels; rejects with the parser's message on what is no Mermaid. */
export async function picture(code: string, ground: Ground): Promise<Picture> {
  const [drawn, face] = await Promise.all([renderDiagram(code, false), fontFace()]);
  const holder = document.createElement("template");
  holder.innerHTML = drawn;
  const image = holder.content.querySelector("svg");
  if (!image) throw new Error("no drawing");
  const { x, y } = image.viewBox.baseVal;
  const width = Math.ceil(image.viewBox.baseVal.width);
  const height = Math.ceil(image.viewBox.baseVal.height);
  image.removeAttribute("style");
  image.setAttribute("viewBox", `${x} ${y} ${width} ${height}`); // whole pixels, to the edges
  image.setAttribute("width", String(width));
  image.setAttribute("height", String(height));
  if (face) image.prepend(element("style", {}, face));
  if (ground === "white") {
    image.prepend(element("rect", { x, y, width, height, fill: "#ffffff" }));
  }
  return { svg: new XMLSerializer().serializeToString(image), width, height };
}

function element(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** How many pixels of the file a pixel of the drawing gets: two, unless no canvas is that large. */
export const scaleFor = (width: number, height: number): number =>
  Math.min(SCALE, MAX_SIDE / width, MAX_SIDE / height, Math.sqrt(MAX_AREA / (width * height)));

/** The diagram as a PNG file. */
export async function png(code: string, ground: Ground): Promise<Blob> {
  const { svg, width, height } = await picture(code, ground);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const scale = scaleFor(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!made) throw new Error("no image");
  return made;
}

export const FORMATS = ["mmd", "svg", "png", "png-transparent"] as const;
export type Format = (typeof FORMATS)[number];

/** Offer the diagram as a file. */
export async function saveDiagram(code: string, name: string, format: Format): Promise<void> {
  if (format === "mmd") saveText(code, `${name}.mmd`, "text/vnd.mermaid;charset=utf-8");
  else if (format === "svg") saveText((await picture(code, "white")).svg, `${name}.svg`, "image/svg+xml");
  else saveBlob(await png(code, format === "png" ? "white" : "transparent"), `${name}.png`);
}
