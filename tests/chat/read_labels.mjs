// What Mermaid's own parser understood of a diagram: one JSON line `{text}` in, one `{labels}` or `{error}` out, with the
// labels of every part in the order of the diagram, as they will be shown.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.argv[2]);
const { JSDOM } = await import(pathToFileURL(require.resolve("jsdom")).href);
for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = () => {};
const { window } = new JSDOM("<!DOCTYPE html><body></body>");
globalThis.window = window;
globalThis.document = window.document;
for (const name of ["Option", "Element", "HTMLElement", "Node", "DOMParser", "XMLSerializer"]) globalThis[name] ??= window[name];
const { default: mermaid } = await import(new URL("./node_modules/mermaid/dist/mermaid.core.mjs", pathToFileURL(process.argv[2])).href);
mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });

const shown = label =>
  String(label ?? "")
    .replace(/<br\s*\/?>/g, "\n")
    .replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/ﬂ°(\w+)¶ß/g, (_, name) => `&${name};`);

const values = found => (found instanceof Map ? [...found.values()] : Object.values(found ?? {}));

const READ = {
  "flowchart-v2": db => [...values(db.getVertices()).map(v => v.text), ...db.getEdges().map(e => e.text).filter(Boolean)],
  sequence: db => [db.getDiagramTitle(), ...values(db.getActors()).map(a => a.description), ...db.getMessages().map(m => m.message)],
  classDiagram: db => [
    ...values(db.getClasses()).flatMap(c => [c.label, ...c.members.map(m => m.getDisplayDetails().displayText), ...c.methods.map(m => m.getDisplayDetails().displayText)]),
    ...db.getRelations().map(r => r.title).filter(t => t && t !== "none"),
  ],
  stateDiagram: db => {
    const { nodes, edges } = db.getData();
    return [...nodes.filter(n => /^s\d+$/.test(n.id)).map(n => [n.label].flat().join("\n")), ...edges.map(e => e.label).filter(Boolean)];
  },
  er: db => [
    ...values(db.getEntities()).flatMap(e => [e.alias || e.label, ...e.attributes.map(a => a.comment).filter(Boolean)]),
    ...db.getRelationships().map(r => r.roleA),
  ],
  gantt: db => [db.getDiagramTitle(), ...db.getSections(), ...db.getTasks().map(t => t.task)],
  mindmap: db => {
    const walk = node => [node.descr, ...node.children.flatMap(walk)];
    return walk(db.getMindmap());
  },
  timeline: db => [db.getCommonDb?.().getDiagramTitle?.(), ...db.getSections(), ...db.getTasks().flatMap(t => [t.task, ...t.events])],
  journey: db => [db.getDiagramTitle(), ...db.getSections(), ...db.getTasks().flatMap(t => [t.task, ...t.people])],
  pie: db => [db.getDiagramTitle(), ...db.getSections().keys()],
};

for await (const line of createInterface({ input: process.stdin })) {
  const { text } = JSON.parse(line);
  let answer;
  try {
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
    const kind = diagram.type === "class" ? "classDiagram" : diagram.type;
    answer = { labels: READ[kind](diagram.db).map(shown) };
  } catch (error) {
    answer = { error: String(error?.message ?? error) + "\n" + String(error?.stack ?? "").slice(0, 300) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
