import { Alert, Box, Button, Tab, Tabs, Typography } from "@mui/material";
import { FileText, FolderOpen, PencilRuler } from "lucide-react";
import { useRef, useState, type DragEvent, type RefObject } from "react";
import { Card } from "../../components/Card";
import { MarkedArea } from "../../components/MarkedArea";
import { useI18n } from "../../i18n";
import { askOf, MAX_TEXT, pointsIn, withFile } from "../../lib/drawing";
import { formatBytes, formatNumber } from "../../lib/format";
import { BoardForm } from "./BoardForm";
import { Options } from "./Options";
import type { Drawing } from "./useWork";
import { Working } from "./Working";

const MAX_FILE = 2_500_000;

interface Props {
  drawing: Drawing;
  /** The words of the text that are shown. */
  mark: { start: number; end: number } | null;
  area: RefObject<HTMLTextAreaElement | null>;
}

/** What is to be drawn, and how. */
export function SourceCard({ drawing, mark, area }: Props) {
  const { t, lang } = useI18n();
  const { work, set, busy, wait, problem, stopped, draw, stop } = drawing;
  const [refused, setRefused] = useState("");
  const [over, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const ready = askOf(work) !== null;
  const length = pointsIn(work.text);
  const tooLong = length > MAX_TEXT;
  const again = work.versions.length > 0;

  const open = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    if (file.size > MAX_FILE) {
      setRefused(t("draw.fileLarge", { name: file.name, most: formatBytes(MAX_FILE, lang) }));
      return;
    }
    const next = withFile(work, file.name, await file.text());
    setRefused(next ? "" : t("draw.fileWrong", { name: file.name }));
    if (next) set({ input: next.input, text: next.text, json: next.json, board: next.board });
  };
  const dragging = (event: DragEvent): boolean => event.dataTransfer.types.includes("Files");

  return (
    <Box
      sx={{ position: "relative", minWidth: 0 }}
      onDragOver={(event) => {
        if (!dragging(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={(event) => {
        if (!dragging(event)) return;
        event.preventDefault();
        setOver(false);
        void open(event.dataTransfer.files[0]);
      }}
    >
      <Card
        title={t("draw.source")}
        icon={<FileText size={20} aria-hidden="true" />}
        tools={
          <Button
            size="small"
            startIcon={<FolderOpen size={16} aria-hidden="true" />}
            onClick={() => picker.current?.click()}
          >
            {t("draw.file")}
          </Button>
        }
      >
        <input
          ref={picker}
          type="file"
          hidden
          data-testid="source-file"
          accept=".txt,.md,.markdown,.json,text/plain,text/markdown,application/json"
          onChange={(event) => {
            void open(event.target.files?.[0]);
            event.target.value = "";
          }}
        />
        <Tabs
          value={work.input === "text" ? "text" : "board"}
          onChange={(_, next: "text" | "board") => set({ input: next })}
          aria-label={t("draw.input")}
          sx={{ mt: -1.5, mb: 2, minHeight: 40, "& .MuiTab-root": { minHeight: 40, py: 0.5 } }}
        >
          <Tab value="text" label={t("draw.input.text")} id="source-text" aria-controls="source-panel" />
          <Tab value="board" label={t("draw.input.board")} id="source-board" aria-controls="source-panel" />
        </Tabs>
        <Box
          id="source-panel"
          role="tabpanel"
          aria-labelledby={work.input === "text" ? "source-text" : "source-board"}
        >
          {work.input === "text" ? (
            <>
              <MarkedArea
                label={t("draw.text")}
                quiet
                help={
                  tooLong
                    ? t("draw.tooLong", { count: formatNumber(length, lang), most: formatNumber(MAX_TEXT, lang) })
                    : t("draw.textHelp")
                }
                invalid={tooLong}
                value={work.text}
                onChange={(text) => set({ text })}
                mark={mark}
                rows={11}
                areaRef={area}
                onKeyDown={(event) => {
                  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready && !busy) void draw();
                }}
              />
              {!work.text && (
                <Button size="small" sx={{ mt: 0.5, ml: -0.5 }} onClick={() => set({ text: t("chat.drawExample") })}>
                  {t("draw.example")}
                </Button>
              )}
            </>
          ) : (
            <BoardForm work={work} set={set} mark={mark} />
          )}
        </Box>
        {refused && (
          <Alert severity="error" onClose={() => setRefused("")} sx={{ mt: 1.5, overflowWrap: "anywhere" }}>
            {refused}
          </Alert>
        )}
        <Options work={work} set={set} />
        <Button
          variant="contained"
          size="large"
          fullWidth
          startIcon={<PencilRuler size={18} aria-hidden="true" />}
          loading={busy === "draw"}
          loadingPosition="start"
          disabled={!ready || busy !== null}
          onClick={() => void draw()}
          sx={{ mt: 2 }}
        >
          {t(again ? "draw.again" : "draw.draw")}
        </Button>
        {busy === "draw" && <Working text={t("draw.working")} wait={wait} onStop={stop} />}
        {problem?.of === "draw" && (
          <Alert severity="error" sx={{ mt: 1.5, overflowWrap: "anywhere" }}>
            {t("draw.failed")}. {problem.message}
          </Alert>
        )}
        {stopped && (
          <Typography variant="body2" color="textSecondary" role="status" sx={{ mt: 1 }}>
            {t("draw.stopped")}
          </Typography>
        )}
      </Card>
      {over && (
        <Box
          aria-hidden="true"
          sx={{
            position: "absolute",
            inset: 0,
            display: "grid",
            placeItems: "center",
            borderRadius: "14px",
            border: "2px dashed",
            borderColor: "primary.main",
            bgcolor: "frost.tint",
            color: "frost.doorText",
            typography: "h3",
            pointerEvents: "none",
          }}
        >
          {t("draw.fileDrop")}
        </Box>
      )}
    </Box>
  );
}
