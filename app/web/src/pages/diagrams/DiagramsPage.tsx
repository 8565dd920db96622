import { Alert, Box, Button, Typography } from "@mui/material";
import { Eraser } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { currentOf, NEW_WORK, originsOf } from "../../lib/drawing";
import { useTitle } from "../../lib/hooks";
import { ResultCard } from "./ResultCard";
import { SourceCard } from "./SourceCard";
import { useWork } from "./useWork";

/** A text or a vision board on one side, its diagram on the other. */
export default function DiagramsPage() {
  const { t } = useI18n();
  useTitle(t("draw.title"));
  const drawing = useWork();
  const { work, busy, full, clear } = drawing;
  const [picked, setPicked] = useState<number | null>(null);
  const [clearing, setClearing] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const result = useRef<HTMLDivElement>(null);
  const current = currentOf(work);
  const source = current?.source ?? "";
  const graph = current?.diagram.graph;
  const origins = useMemo(() => originsOf(graph, source), [graph, source]);
  const origin = picked === null ? undefined : origins[picked];
  const here = origin !== undefined && (work.input !== "text" || work.text === source);
  const said = useDone(current?.id ?? null, t("draw.done"));

  useEffect(() => setPicked(null), [current?.id]);
  // On a phone the drawing is below what was asked: it comes into sight when it is made.
  const drawn = current?.by === "draw" ? current.id : null;
  const first = useRef(drawn);
  useEffect(() => {
    if (drawn === null || drawn === first.current) return;
    first.current = drawn;
    if (window.matchMedia("(max-width: 899px)").matches) result.current?.scrollIntoView({ block: "start" });
  }, [drawn]);

  const select = (): void => {
    const text = area.current;
    if (!text || !origin) return;
    text.scrollIntoView({ block: "center" });
    text.focus({ preventScroll: true });
    text.setSelectionRange(origin.start, origin.end);
  };

  return (
    <Page wide>
      <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "flex-start", gap: 1 }}>
        <Box sx={{ flex: 1, minWidth: 240 }}>
          <Typography variant="h1">{t("draw.title")}</Typography>
          <Typography color="textSecondary" sx={{ mt: 0.75, mb: 3, maxWidth: "70ch" }}>
            {t("draw.lead")}
          </Typography>
        </Box>
        {work !== NEW_WORK && (
          <Button
            size="small"
            startIcon={<Eraser size={16} aria-hidden="true" />}
            disabled={busy !== null}
            onClick={() => setClearing(true)}
          >
            {t("draw.clear")}
          </Button>
        )}
      </Box>
      {full && (
        <Alert severity="warning" sx={{ mb: 2 }}>
          {t("draw.full")}
        </Alert>
      )}
      <Box role="status" className="visually-hidden">
        {said}
      </Box>
      <Box
        sx={{
          display: "grid",
          gap: 3,
          alignItems: "start",
          gridTemplateColumns: { xs: "minmax(0, 1fr)", lg: "minmax(340px, 5fr) minmax(0, 7fr)" },
        }}
      >
        <SourceCard drawing={drawing} mark={here && origin ? origin : null} area={area} />
        <Box ref={result} sx={{ minWidth: 0, scrollMarginTop: 64 }}>
          <ResultCard
            drawing={drawing}
            origins={origins}
            picked={picked}
            onPick={setPicked}
            onSelect={here && work.input === "text" ? select : null}
          />
        </Box>
      </Box>
      <ConfirmDialog
        open={clearing}
        title={t("draw.clearTitle")}
        text={t("draw.clearText")}
        action={t("draw.clear")}
        work={() => Promise.resolve()}
        onClose={(done) => {
          setClearing(false);
          if (done) clear();
        }}
      />
    </Page>
  );
}

/** Said when another version is shown than the one before; nothing at first. */
function useDone(id: string | null, text: string): string {
  const [said, setSaid] = useState("");
  const known = useRef(id);
  useEffect(() => {
    if (id === known.current) return;
    known.current = id;
    setSaid(id === null ? "" : `${text}`);
    const timer = setTimeout(() => setSaid(""), 4000);
    return () => clearTimeout(timer);
  }, [id, text]);
  return said;
}
