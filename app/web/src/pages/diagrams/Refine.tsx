import { Alert, Box, Button, Chip, TextField, Typography } from "@mui/material";
import { MessageSquareText } from "lucide-react";
import { useState } from "react";
import { useI18n } from "../../i18n";
import { currentOf, hasDirection } from "../../lib/drawing";
import type { Drawing } from "./useWork";
import { Working } from "./Working";

const MAX_SAID = 4000;

/** The diagram is changed by saying what should be otherwise. */
export function Refine({ drawing }: { drawing: Drawing }) {
  const { t } = useI18n();
  const { work, busy, wait, problem, refine, stop } = drawing;
  const [said, setSaid] = useState("");
  const kind = currentOf(work)?.diagram.kind ?? "";
  const ideas = [
    ...(hasDirection(kind) ? (["vertical", "horizontal"] as const) : []),
    "validation" as const,
    "simplify" as const,
    ...(kind === "flowchart" ? (["plain"] as const) : []),
  ];
  const send = (text: string): void => {
    if (text.trim() && !busy) void refine(text.trim());
  };
  return (
    <Box sx={{ borderTop: 1, borderColor: "divider", mt: 2, pt: 2 }}>
      <Typography variant="h3" sx={{ mb: 1.25 }}>
        {t("draw.refine")}
      </Typography>
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          send(said);
        }}
        sx={{ display: "flex", flexWrap: "wrap", gap: 1 }}
      >
        <TextField
          label={t("draw.refineField")}
          placeholder={t("draw.refinePlaceholder")}
          value={said}
          onChange={(event) => setSaid(event.target.value)}
          sx={{ flex: "1 1 220px" }}
          slotProps={{ htmlInput: { maxLength: MAX_SAID }, inputLabel: { shrink: true } }}
        />
        <Button
          type="submit"
          variant="outlined"
          startIcon={<MessageSquareText size={16} aria-hidden="true" />}
          loading={busy === "refine"}
          loadingPosition="start"
          disabled={!said.trim() || busy !== null}
        >
          {t("draw.refineSend")}
        </Button>
      </Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 0.75, mt: 1 }}>
        {ideas.map((idea) => (
          <Chip
            key={idea}
            size="small"
            variant="outlined"
            label={t(`draw.ask.${idea}`)}
            disabled={busy !== null}
            onClick={() => send(t(`draw.ask.${idea}`))}
          />
        ))}
      </Box>
      {busy === "refine" && <Working text={t("draw.refining")} wait={wait} onStop={stop} />}
      {problem?.of === "refine" && (
        <Alert severity="error" sx={{ mt: 1.5, overflowWrap: "anywhere" }}>
          {t("draw.refineFailed")}. {problem.message}
        </Alert>
      )}
    </Box>
  );
}
