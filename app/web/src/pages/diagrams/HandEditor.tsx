import { Box, Button, Typography } from "@mui/material";
import { Check as CheckIcon, CircleAlert, CircleCheck, CircleHelp } from "lucide-react";
import { useEffect, useRef } from "react";
import { MarkedArea } from "../../components/MarkedArea";
import { useI18n } from "../../i18n";
import { lineSpan } from "../../lib/drawing";
import { MONO } from "../../theme";
import { kindName } from "./History";
import type { Check } from "./useVerdict";
import type { Drawing } from "./useWork";

interface Props {
  drawing: Drawing;
  check: Check;
  /** The person has just asked for it, and writes in it at once. */
  begun: boolean;
}

/** The Mermaid written by hand: the parser's verdict as it grows, its fault marked on its line. */
export function HandEditor({ drawing, check, begun }: Props) {
  const { t } = useI18n();
  const { work, set, keepDraft } = drawing;
  const area = useRef<HTMLTextAreaElement>(null);
  const draft = work.draft ?? "";
  const { verdict } = check;
  const told = check.text === draft && !check.waiting;
  const line = verdict?.valid === false ? (verdict.error?.line ?? null) : null;
  const fault = told && line !== null ? lineSpan(draft, line) : null;
  const fine = told && verdict !== null && verdict.valid !== false;

  useEffect(() => {
    if (begun) area.current?.focus({ preventScroll: true });
  }, []);
  const keep = (): void => {
    if (fine && verdict) keepDraft(verdict);
  };
  return (
    <Box sx={{ mt: 2 }}>
      <MarkedArea
        label={t("draw.handTitle")}
        help={t("draw.handHelp")}
        code
        rows={12}
        value={draft}
        onChange={(text) => set({ draft: text })}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            keep();
          }
        }}
        mark={fault}
        tone="fault"
        areaRef={area}
      />
      <Box role="status" data-testid="verdict" sx={{ mt: 1, minHeight: 46 }}>
        <Says draft={draft} check={check} told={told} />
      </Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 1, mt: 1 }}>
        <Button
          variant="contained"
          startIcon={<CheckIcon size={16} aria-hidden="true" />}
          disabled={!fine}
          onClick={keep}
        >
          {t("draw.handKeep")}
        </Button>
        <Button onClick={() => set({ draft: null })}>{t("draw.handDrop")}</Button>
        {fault && line !== null && (
          <Button
            onClick={() => {
              area.current?.focus();
              area.current?.setSelectionRange(fault.start, fault.end);
            }}
          >
            {t("draw.handGo", { line })}
          </Button>
        )}
      </Box>
    </Box>
  );
}

function Says({ draft, check, told }: { draft: string; check: Check; told: boolean }) {
  const { t } = useI18n();
  const { verdict, problem } = check;
  if (!draft.trim()) return <Typography variant="body2">{t("draw.handEmpty")}</Typography>;
  if (problem) {
    return (
      <Typography variant="body2" color="error">
        {problem}
      </Typography>
    );
  }
  if (!verdict || !told) {
    return (
      <Typography variant="body2" color="textSecondary">
        {t("draw.handChecking")}
      </Typography>
    );
  }
  const [Icon, colour, text] =
    verdict.valid === true
      ? ([CircleCheck, "success.main", t("draw.handValid", { kind: kindName(t, verdict.kind ?? undefined) })] as const)
      : verdict.valid === false
        ? ([
            CircleAlert,
            "error.main",
            verdict.error?.line ? t("draw.handLine", { line: verdict.error.line }) : t("draw.handInvalid"),
          ] as const)
        : ([CircleHelp, "warning.main", t("draw.handUnknown")] as const);
  return (
    <>
      <Typography variant="body2" sx={{ display: "flex", alignItems: "center", gap: 0.75, color: colour, fontWeight: 650 }}>
        <Icon size={16} aria-hidden="true" />
        {text}
      </Typography>
      {verdict.error?.message && (
        <Box
          component="pre"
          tabIndex={0}
          sx={{ m: 0, mt: 0.5, maxHeight: 140, overflow: "auto", fontFamily: MONO, fontSize: "0.8rem", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}
        >
          {verdict.error.message}
        </Box>
      )}
    </>
  );
}
