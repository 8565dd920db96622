import { Alert, Box, Button, Typography } from "@mui/material";
import { CircleCheck, Code2, Workflow } from "lucide-react";
import { useEffect, useMemo, useRef } from "react";
import { Card } from "../../components/Card";
import { DiagramView } from "../../components/DiagramView";
import { OpenFridge } from "../../components/Logo";
import { useI18n } from "../../i18n";
import { currentOf, type Origin } from "../../lib/drawing";
import { HandEditor } from "./HandEditor";
import { History } from "./History";
import { Refine } from "./Refine";
import { SourceWords } from "./SourceWords";
import type { Drawing } from "./useWork";
import { useVerdict } from "./useVerdict";

const STARTER = 'flowchart TD\n    a["…"] --> b["…"]\n';

interface Props {
  drawing: Drawing;
  origins: readonly Origin[];
  picked: number | null;
  onPick: (index: number | null) => void;
  /** Selects the words in the text; null when the text is not what was drawn. */
  onSelect: (() => void) | null;
}

/** The diagram, what is to be known of it, and the ways to change it. */
export function ResultCard({ drawing, origins, picked, onPick, onSelect }: Props) {
  const { t } = useI18n();
  const { work, set, busy } = drawing;
  const current = currentOf(work);
  const editing = work.draft !== null;
  const check = useVerdict(work.draft);
  const sound = check.verdict && check.verdict.valid !== false ? check.text : null;
  const code = (editing ? sound : null) ?? current?.diagram.mermaid ?? "";
  const changed = editing && code !== current?.diagram.mermaid;
  const spots = useMemo(
    () =>
      origins.map(({ id, label }) => ({ ...(id ? { id } : {}), label, title: t("draw.pickNode", { label }) })),
    [origins, t],
  );
  const origin = picked === null ? undefined : origins[picked];
  // The editor takes the place of its button, and the button the editor's: who uses the keyboard stays there.
  const button = useRef<HTMLButtonElement>(null);
  const edited = useRef(editing);
  useEffect(() => {
    if (edited.current && !editing) button.current?.focus();
    edited.current = editing;
  }, [editing]);
  const leaveWords = (): void => {
    document.querySelector<SVGElement>("[data-testid=diagram] [aria-current=true]")?.focus();
    onPick(null);
  };
  const edit = (
    <Button
      ref={button}
      size="small"
      startIcon={<Code2 size={16} aria-hidden="true" />}
      onClick={() => set({ draft: current?.diagram.mermaid ?? STARTER })}
    >
      {t("draw.hand")}
    </Button>
  );

  return (
    <Card
      title={t("draw.result")}
      icon={<Workflow size={20} aria-hidden="true" />}
      tools={current && !editing ? edit : undefined}
    >
      {code ? (
        <DiagramView
          code={code}
          graph={changed ? null : (current?.diagram.graph ?? null)}
          spots={changed ? [] : spots}
          picked={picked}
          onPick={onPick}
          name={nameOf(current?.source ?? "")}
          source={false}
        />
      ) : (
        !editing && (
          <Box
            sx={{ display: "flex", flexDirection: { xs: "column", sm: "row" }, alignItems: "center", gap: 3, py: 3 }}
          >
            <OpenFridge />
            <Box>
              <Typography variant="h3">{t("draw.empty")}</Typography>
              <Typography color="textSecondary" sx={{ mt: 0.5, mb: 1, maxWidth: "48ch" }}>
                {t("draw.emptyHelp")}
              </Typography>
              {edit}
            </Box>
          </Box>
        )
      )}
      {editing && <HandEditor drawing={drawing} check={check} begun={!edited.current} />}
      {current && !editing && (
        <>
          {origin ? (
            <SourceWords text={current.source} origin={origin} onSelect={onSelect} onClose={leaveWords} />
          ) : (
            spots.length > 0 && (
              <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
                {t("draw.pick")}
              </Typography>
            )
          )}
          <Facts drawing={drawing} />
          <Refine key={current.id} drawing={drawing} />
        </>
      )}
      {work.versions.length > 0 && <History work={work} set={set} disabled={busy !== null} />}
    </Card>
  );
}

/** Whose drawing it is, how sure it is, and what the reader should know. */
function Facts({ drawing: { work } }: { drawing: Drawing }) {
  const { t } = useI18n();
  const current = currentOf(work);
  if (!current) return null;
  const { valid, model, repairs = 0, warnings = [] } = current.diagram;
  const facts = [
    valid ? t("draw.valid") : "",
    current.by === "hand" ? t("draw.version.hand") : model ? t("draw.by", { model }) : t("draw.noModel"),
    repairs > 0 ? t("draw.repairs", { n: repairs }) : "",
  ].filter(Boolean);
  return (
    <Box data-testid="facts">
      <Typography
        variant="body2"
        color="textSecondary"
        sx={{ display: "flex", alignItems: "center", gap: 0.75, mt: 1 }}
      >
        {valid && (
          <Box component="span" sx={{ display: "flex", flex: "none", color: "success.main" }}>
            <CircleCheck size={16} aria-hidden="true" />
          </Box>
        )}
        <span>{facts.join(" · ")}</span>
      </Typography>
      {valid === null && (
        <Alert severity="warning" sx={{ mt: 1 }}>
          {t("diagram.unchecked")}
        </Alert>
      )}
      {warnings.map((warning) => (
        <Alert key={warning} severity="warning" sx={{ mt: 1, overflowWrap: "anywhere" }}>
          {warning}
        </Alert>
      ))}
    </Box>
  );
}

/** A file's name from the first words of what was drawn. */
export function nameOf(text: string): string {
  const words = text.trim().split(/\s+/).slice(0, 5).join(" ").slice(0, 48);
  return words.replace(/[.,;:!?…]+$/, "") || "diagramme";
}
