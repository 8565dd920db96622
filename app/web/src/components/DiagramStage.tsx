import { Box, Typography } from "@mui/material";
import { useEffect, useId, useLayoutEffect, useRef, type KeyboardEvent, type PointerEvent } from "react";
import { useI18n } from "../i18n";
import { partsOf, type Spot } from "../lib/parts";

const STEP = 1.25;
const SMALLEST = 0.3;
const LARGEST = 4;
/** Pixels after which a press is a drag and no click. */
const DRAG = 4;

/** The next zoom in or out of `zoom`, null being the size that fits. */
export const zoomed = (zoom: number | null, factor: number): number =>
  Math.min(LARGEST, Math.max(SMALLEST, (zoom ?? 1) * factor));
export const zoomIn = (zoom: number | null): number => zoomed(zoom, STEP);
export const zoomOut = (zoom: number | null): number => zoomed(zoom, 1 / STEP);

interface Props {
  svg: string | null;
  alt: string;
  /** Relative to the fitting size; null fits. */
  zoom: number | null;
  onZoom: (zoom: number | null) => void;
  spots: readonly Spot[];
  picked: number | null;
  onPick: ((index: number) => void) | undefined;
  tall: boolean;
}

/** The drawing in a window that scrolls: drag, ctrl + wheel, + - 0 and the arrows; its spots are buttons. */
export function DiagramStage({ svg, alt, zoom, onZoom, spots, picked, onPick, tall }: Props) {
  const { t } = useI18n();
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const parts = useRef<Map<Element, number>>(new Map());
  const drag = useRef<{ x: number; y: number; left: number; top: number; far: boolean } | null>(null);
  const pick = useRef(onPick);
  pick.current = onPick;
  const label = useId();
  const clickable = onPick !== undefined && spots.length > 0;

  useLayoutEffect(() => {
    const host = canvas.current;
    if (!host) return;
    host.innerHTML = svg ?? "";
    parts.current = new Map();
    const image = host.querySelector("svg");
    if (!image) return;
    image.setAttribute("role", "img");
    image.setAttribute("aria-label", alt);
    if (!clickable) return;
    image.setAttribute("role", "group");
    parts.current = partsOf(image, spots);
    for (const [part, index] of parts.current) {
      part.setAttribute("role", "button");
      part.setAttribute("tabindex", "0");
      part.setAttribute("aria-label", spots[index]?.title ?? "");
      part.addEventListener("click", () => {
        if (!drag.current?.far) pick.current?.(index);
      });
      part.addEventListener("keydown", (event) => {
        const { key } = event as unknown as KeyboardEvent;
        if (key !== "Enter" && key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        pick.current?.(index);
      });
    }
  }, [svg, alt, spots, clickable]);

  useLayoutEffect(() => {
    for (const [part, index] of parts.current) {
      if (index === picked) part.setAttribute("aria-current", "true");
      else part.removeAttribute("aria-current");
    }
  }, [picked, svg, alt, spots, clickable]);

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
  }, [svg, zoom, tall, alt, spots, clickable]);

  // Zoom with ctrl + wheel (or a pinch on a touchpad); a plain wheel scrolls the page.
  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      onZoom(zoomed(zoom, Math.exp(-event.deltaY / 300)));
    };
    host.addEventListener("wheel", wheel, { passive: false });
    return () => host.removeEventListener("wheel", wheel);
  }, [zoom, onZoom]);

  const move = (event: PointerEvent): void => {
    const from = drag.current;
    if (!from || !box.current || event.buttons === 0) return;
    from.far ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > DRAG;
    box.current.scrollLeft = from.left - (event.clientX - from.x);
    box.current.scrollTop = from.top - (event.clientY - from.y);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") onZoom(zoomIn(zoom));
    else if (event.key === "-") onZoom(zoomOut(zoom));
    else if (event.key === "0") onZoom(null);
    else return;
    event.preventDefault();
  };

  return (
    <Box
      ref={box}
      tabIndex={0}
      role="region"
      aria-labelledby={label}
      onKeyDown={press}
      onPointerDown={(event) => {
        // Touch scrolls natively; the mouse drags.
        if (event.pointerType !== "mouse" || !box.current) return;
        const { scrollLeft: left, scrollTop: top } = box.current;
        drag.current = { x: event.clientX, y: event.clientY, left, top, far: false };
      }}
      onPointerMove={move}
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
        "& svg [role=button]": { cursor: "pointer" },
        "& svg [role=button]:hover": { filter: "brightness(1.08)" },
        "& svg [role=button]:focus": { outline: "none" },
        "& svg [role=button]:focus-visible": { outline: "3px solid", outlineColor: "primary.main", outlineOffset: "3px" },
        "& svg [aria-current=true] :is(rect, polygon, path, circle, ellipse)": {
          stroke: "var(--frigo-palette-text-primary) !important",
          strokeWidth: "3px !important",
        },
        "& svg text[aria-current=true], & svg [aria-current=true] text": { textDecoration: "underline" },
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
