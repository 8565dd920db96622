import { Alert, Box, Dialog, IconButton, Tooltip, Typography } from "@mui/material";
import { Download, Expand, Minus, Plus, Shrink, X } from "lucide-react";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type PointerEvent } from "react";
import { useI18n } from "../i18n";
import { useDark } from "../lib/hooks";
import { nodeIdOf, renderDiagram, saveDiagram } from "../lib/mermaid";
import type { Diagram } from "../lib/types";
import { MONO } from "../theme";
import { CopyButton } from "./CopyButton";
import { Disclosure } from "./Disclosure";

const ACTORS = [
  ["human", "#FF9F43"],
  ["system", "#4A90D9"],
  ["ai", "#50C878"],
  ["goal", "#E74C3C"],
] as const;

export type Moments = ReadonlyMap<string, { seconds: number; label: string }>;

interface Props {
  code: string;
  graph?: Diagram["graph"] | null;
  moments?: Moments;
  onPlay?: (seconds: number) => void;
  name?: string;
}

/** A Mermaid text drawn in the page: zoom, pan, full screen, copy, SVG; its source when it cannot be drawn. */
export function DiagramView({ code, graph = null, moments, onPlay, name = "diagramme" }: Props) {
  const { t } = useI18n();
  const dark = useDark();
  const [svg, setSvg] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  const [full, setFull] = useState(false);
  const [zoom, setZoom] = useState<number | null>(null);

  useEffect(() => {
    let stale = false;
    renderDiagram(code, dark).then(
      (image) => {
        if (stale) return;
        setSvg(image);
        setBroken(false);
      },
      () => {
        if (!stale) setBroken(true);
      },
    );
    return () => {
      stale = true;
    };
  }, [code, dark]);

  const alt = useMemo(
    () => t("diagram.alt", { labels: (graph?.nodes ?? []).map((node) => node.label).join(", ") || name }),
    [graph, name, t],
  );
  const actors = ACTORS.filter(([actor]) => graph?.nodes?.some((node) => node.actor === actor));

  if (broken) {
    return (
      <Box>
        <Alert severity="warning" sx={{ mb: 1 }}>
          {t("diagram.invalid")}
        </Alert>
        <Source code={code} open />
      </Box>
    );
  }

  const stage = (tall: boolean) => (
    <Stage svg={svg} alt={alt} zoom={zoom} onZoom={setZoom} moments={moments} onPlay={onPlay} tall={tall} />
  );
  const tools = (
    <Box sx={{ display: "flex", gap: 0.25, alignItems: "center", flexWrap: "wrap" }}>
      <Tool label={t("diagram.zoomOut")} onClick={() => setZoom((z) => Math.max(0.3, (z ?? 1) / 1.25))}>
        <Minus size={17} aria-hidden="true" />
      </Tool>
      <Tool label={t("diagram.zoomIn")} onClick={() => setZoom((z) => Math.min(4, (z ?? 1) * 1.25))}>
        <Plus size={17} aria-hidden="true" />
      </Tool>
      <Tool label={t("diagram.fit")} onClick={() => setZoom(null)}>
        <Shrink size={17} aria-hidden="true" />
      </Tool>
      <Tool label={full ? t("common.close") : t("diagram.full")} onClick={() => setFull(!full)}>
        {full ? <X size={17} aria-hidden="true" /> : <Expand size={17} aria-hidden="true" />}
      </Tool>
      <Tool label={t("diagram.svg")} onClick={() => void saveDiagram(code, name)}>
        <Download size={17} aria-hidden="true" />
      </Tool>
      <CopyButton text={code} label={t("diagram.copy")} small />
      <Box sx={{ display: "flex", flexWrap: "wrap", columnGap: 1.5, ml: "auto" }}>
        {actors.map(([actor, colour]) => (
          <Typography
            key={actor}
            variant="caption"
            color="textSecondary"
            sx={{ display: "flex", alignItems: "center", gap: 0.6 }}
          >
            <Box component="span" sx={{ width: 11, height: 11, borderRadius: "3px", bgcolor: colour }} />
            {t(`diagram.actor.${actor}`)}
          </Typography>
        ))}
      </Box>
    </Box>
  );

  return (
    <Box>
      {!full && stage(false)}
      {tools}
      <Source code={code} />
      <Dialog fullScreen open={full} onClose={() => setFull(false)} aria-label={alt}>
        <Box sx={{ display: "flex", flexDirection: "column", height: "100%", p: 2, gap: 1 }}>
          {tools}
          {full && stage(true)}
        </Box>
      </Dialog>
    </Box>
  );
}

function Tool({ label, onClick, children }: { label: string; onClick: () => void; children: React.ReactNode }) {
  return (
    <Tooltip title={label}>
      <IconButton size="small" aria-label={label} onClick={onClick}>
        {children}
      </IconButton>
    </Tooltip>
  );
}

interface StageProps {
  svg: string | null;
  alt: string;
  /** Relative to the fitting size; null fits. */
  zoom: number | null;
  onZoom: (zoom: number) => void;
  moments: Moments | undefined;
  onPlay: ((seconds: number) => void) | undefined;
  tall: boolean;
}

function Stage({ svg, alt, zoom, onZoom, moments, onPlay, tall }: StageProps) {
  const { t } = useI18n();
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; left: number; top: number } | null>(null);
  const label = useId();

  useLayoutEffect(() => {
    const host = canvas.current;
    if (!host) return undefined;
    host.innerHTML = svg ?? "";
    const image = host.querySelector("svg");
    if (!image) return undefined;
    image.setAttribute("role", "img");
    image.setAttribute("aria-label", alt);
    if (!moments?.size || !onPlay) return undefined;
    image.setAttribute("role", "group");
    for (const node of image.querySelectorAll<SVGGElement>("g.node")) {
      const moment = moments.get(nodeIdOf(node.id) ?? "");
      if (!moment) continue;
      node.setAttribute("role", "button");
      node.setAttribute("tabindex", "0");
      node.setAttribute("aria-label", t("diagram.playNode", { label: moment.label }));
      node.style.cursor = "pointer";
      node.addEventListener("click", () => onPlay(moment.seconds));
      node.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          onPlay(moment.seconds);
        }
      });
    }
    return undefined;
  }, [svg, alt, moments, onPlay, t]);

  useLayoutEffect(() => {
    const host = box.current;
    const image = canvas.current?.querySelector("svg");
    if (!host || !image) return undefined;
    const place = (): void => {
      const { width, height } = image.viewBox.baseVal;
      if (!width || !height || !host.clientWidth) return;
      const room = tall ? host.clientHeight : Math.max(420, window.innerHeight - 330);
      const fit = Math.min(1.15, (host.clientWidth - 8) / width, Math.max(0.62, room / height));
      const scale = Math.max(0.35, fit) * (zoom ?? 1);
      image.style.maxWidth = "none";
      image.setAttribute("width", String(Math.round(width * scale)));
      image.setAttribute("height", String(Math.round(height * scale)));
    };
    place();
    const observer = new ResizeObserver(place);
    observer.observe(host);
    return () => observer.disconnect();
  }, [svg, zoom, tall, alt, moments, onPlay, t]);

  // Zoom with ctrl + wheel (or a pinch on a touchpad); a plain wheel scrolls the page.
  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      onZoom(Math.min(4, Math.max(0.3, (zoom ?? 1) * Math.exp(-event.deltaY / 300))));
    };
    host.addEventListener("wheel", wheel, { passive: false });
    return () => host.removeEventListener("wheel", wheel);
  }, [zoom, onZoom]);

  const move = (event: PointerEvent): void => {
    const from = drag.current;
    if (!from || !box.current) return;
    box.current.scrollLeft = from.left - (event.clientX - from.x);
    box.current.scrollTop = from.top - (event.clientY - from.y);
  };

  return (
    <Box
      ref={box}
      tabIndex={0}
      role="region"
      aria-labelledby={label}
      onPointerDown={(event) => {
        // Touch scrolls natively; the mouse drags.
        if (event.pointerType !== "mouse" || !box.current) return;
        drag.current = { x: event.clientX, y: event.clientY, left: box.current.scrollLeft, top: box.current.scrollTop };
      }}
      onPointerMove={move}
      onPointerUp={() => (drag.current = null)}
      onPointerLeave={() => (drag.current = null)}
      sx={{
        overflow: "auto",
        maxHeight: tall ? "none" : "max(440px, calc(100vh - 310px))",
        flex: tall ? 1 : "none",
        borderRadius: "10px",
        bgcolor: "frost.sunken",
        cursor: zoom && zoom > 1 ? "grab" : "auto",
        userSelect: "none",
        mb: 0.5,
        "& svg": { display: "block", m: "0 auto" },
        "& g.node[role=button]:hover": { filter: "brightness(1.08)" },
      }}
    >
      <span id={label} className="visually-hidden">
        {t("diagram.area")}
      </span>
      {svg === null && (
        <Typography color="textSecondary" sx={{ p: 3 }} role="status">
          {t("diagram.drawing")}
        </Typography>
      )}
      <Box ref={canvas} data-testid="diagram" sx={{ p: 0.5, width: "fit-content", minWidth: "100%" }} />
    </Box>
  );
}

function Source({ code, open = false }: { code: string; open?: boolean }) {
  const { t } = useI18n();
  return (
    <Disclosure label={t("diagram.source")} open={open}>
      <Box
        component="pre"
        tabIndex={0}
        sx={{
          m: 0,
          mt: 1,
          p: 1.5,
          borderRadius: "8px",
          bgcolor: "frost.sunken",
          border: 1,
          borderColor: "divider",
          overflow: "auto",
          maxHeight: 320,
          fontFamily: MONO,
          fontSize: "0.8rem",
          lineHeight: 1.5,
        }}
      >
        {code}
      </Box>
    </Disclosure>
  );
}
