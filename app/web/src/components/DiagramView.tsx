import { Alert, Box, Dialog, Typography } from "@mui/material";
import { Expand, Minus, Plus, Shrink, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useI18n } from "../i18n";
import { useDark } from "../lib/hooks";
import { renderDiagram } from "../lib/mermaid";
import type { Spot } from "../lib/parts";
import type { DiagramGraph } from "../lib/types";
import { MONO } from "../theme";
import { CopyButton } from "./CopyButton";
import { DiagramExport } from "./DiagramExport";
import { DiagramStage, zoomIn, zoomOut } from "./DiagramStage";
import { Disclosure } from "./Disclosure";
import { Tool } from "./Tool";

const ACTORS = [
  ["human", "#FF9F43"],
  ["system", "#4A90D9"],
  ["ai", "#50C878"],
  ["goal", "#E74C3C"],
] as const;
const NO_SPOT: readonly Spot[] = [];

interface Props {
  code: string;
  graph?: DiagramGraph | null;
  /** What can be clicked in it. */
  spots?: readonly Spot[];
  /** The spot that was followed last: its place in `spots`. */
  picked?: number | null;
  onPick?: (index: number) => void;
  name?: string;
  /** Whether its text can be shown below it. */
  source?: boolean;
}

/** A Mermaid text drawn in the page: zoom, pan, full screen, copy, files; its source when it cannot be drawn. */
export function DiagramView({
  code,
  graph = null,
  spots = NO_SPOT,
  picked = null,
  onPick,
  name = "diagramme",
  source = true,
}: Props) {
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

  const follow =
    onPick &&
    ((index: number): void => {
      setFull(false);
      onPick(index);
    });
  const stage = (tall: boolean) => (
    <DiagramStage
      svg={svg}
      alt={alt}
      zoom={zoom}
      onZoom={setZoom}
      spots={spots}
      picked={picked}
      onPick={follow}
      tall={tall}
    />
  );
  const tools = (
    <Box sx={{ display: "flex", gap: 0.25, alignItems: "center", flexWrap: "wrap" }}>
      <Tool label={t("diagram.zoomOut")} onClick={() => setZoom(zoomOut)}>
        <Minus size={17} aria-hidden="true" />
      </Tool>
      <Tool label={t("diagram.zoomIn")} onClick={() => setZoom(zoomIn)}>
        <Plus size={17} aria-hidden="true" />
      </Tool>
      <Tool label={t("diagram.fit")} onClick={() => setZoom(null)}>
        <Shrink size={17} aria-hidden="true" />
      </Tool>
      <Tool label={full ? t("common.close") : t("diagram.full")} onClick={() => setFull(!full)}>
        {full ? <X size={17} aria-hidden="true" /> : <Expand size={17} aria-hidden="true" />}
      </Tool>
      <DiagramExport code={code} name={name} />
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
      {source && <Source code={code} />}
      <Dialog fullScreen open={full} onClose={() => setFull(false)} aria-label={alt}>
        <Box sx={{ display: "flex", flexDirection: "column", height: "100%", p: 2, gap: 1 }}>
          {tools}
          {full && stage(true)}
        </Box>
      </Dialog>
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
