/** Texts about diagrams: the page that draws them, and what any drawing offers. */

export const diagramsFr = {
  "nav.diagrams": "Diagrammes",
  "meeting.download.png": "Diagramme (image PNG)",
  "diagram.export": "Exporter le diagramme",
  "diagram.export.mmd": "Mermaid (.mmd)",
  "diagram.export.svg": "Image SVG",
  "diagram.export.png": "Image PNG, fond blanc",
  "diagram.export.png-transparent": "Image PNG, fond transparent",
  "diagram.exportFailed": "L'image n'a pas pu être faite.",
  "diagram.live": "Ouvrir dans mermaid.live",
  "diagram.liveHelp": "Un site extérieur : le diagramme y part dans l'adresse.",
} as const;

export const diagramsEn: Record<keyof typeof diagramsFr, string> = {
  "nav.diagrams": "Diagrams",
  "meeting.download.png": "Diagram (PNG picture)",
  "diagram.export": "Export the diagram",
  "diagram.export.mmd": "Mermaid (.mmd)",
  "diagram.export.svg": "SVG picture",
  "diagram.export.png": "PNG picture, white",
  "diagram.export.png-transparent": "PNG picture, transparent",
  "diagram.exportFailed": "The picture could not be made.",
  "diagram.live": "Open in mermaid.live",
  "diagram.liveHelp": "Another site: the diagram goes there in the address.",
};
