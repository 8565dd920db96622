import { Box, LinearProgress, Typography } from "@mui/material";
import { Check, Hourglass, TriangleAlert } from "lucide-react";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { formatDuration, formatPercent } from "../../lib/format";
import { resumable } from "../../lib/steps";
import { TERMINAL, type Meeting, type Step } from "../../lib/types";

const NAMES = new Set(["asr", "diarize", "join", "minutes", "diagram"]);

/** The five steps as they go; a quiet line of times once all is done. */
export function Steps({ meeting }: { meeting: Meeting }) {
  const { t, lang } = useI18n();
  const steps = meeting.steps ?? [];
  const label = (step: Step): string => (NAMES.has(step.name) ? t(`steps.${step.name}` as Key) : step.name);
  const current = steps.filter((step) => step.state === "running" || step.state === "waiting");
  const announce = current.map((step) =>
    t("steps.announce", { step: label(step), state: t(`steps.state.${step.state}`) }),
  );
  const over = TERMINAL.has(meeting.state);

  if (meeting.state === "done" && !resumable(meeting)) {
    return (
      <Box component="section" aria-label={t("steps.title")} sx={{ mt: 1.5 }}>
        <span className="visually-hidden" role="status">
          {t("state.done")}
        </span>
        <Typography
          component="ol"
          variant="body2"
          color="textSecondary"
          sx={{ listStyle: "none", m: 0, p: 0, display: "flex", flexWrap: "wrap", columnGap: 2 }}
        >
          {steps.map((step) => (
            <Box component="li" key={step.name} sx={{ display: "flex", alignItems: "center", gap: 0.5 }}>
              <Box sx={{ color: "success.main", display: "flex" }}>
                <Check size={15} aria-hidden="true" />
              </Box>
              {label(step)} {step.seconds !== null && step.seconds >= 0.1 && formatDuration(step.seconds, lang)}
            </Box>
          ))}
        </Typography>
      </Box>
    );
  }
  return (
    <Box component="section" aria-label={t("steps.title")} sx={{ mt: 2.5 }}>
      <span className="visually-hidden" role="status" aria-live="polite">
        {over ? t(`state.${meeting.state}`) : announce.join(". ")}
      </span>
      <Box
        component="ol"
        sx={{
          listStyle: "none",
          m: 0,
          p: 0,
          display: "grid",
          gap: { xs: 0.75, sm: 1.25 },
          gridTemplateColumns: { xs: "1fr", sm: "repeat(5, minmax(0, 1fr))" },
        }}
      >
        {steps.map((step) => (
          <StepItem key={step.name} step={step} label={label(step)} detail={detail(step)} />
        ))}
      </Box>
    </Box>
  );

  function detail(step: Step): string {
    if (step.state === "done")
      return step.seconds === null ? t("steps.state.done") : formatDuration(step.seconds, lang);
    if (step.state === "running" && step.progress) return formatPercent(step.progress, lang);
    return t(`steps.state.${step.state}`);
  }
}

function StepItem({ step, label, detail }: { step: Step; label: string; detail: string }) {
  const moving = step.state === "running" || step.state === "waiting";
  const colour = {
    done: "success.main",
    failed: "error.main",
    waiting: "warning.main",
    running: "primary.main",
    pending: "text.secondary",
  }[step.state];
  const known = step.state === "done" || (step.state === "running" && (step.progress ?? 0) > 0);
  return (
    <Box component="li" aria-current={moving ? "step" : undefined} sx={{ minWidth: 0 }}>
      <LinearProgress
        aria-label={label}
        variant={moving && !known ? "indeterminate" : "determinate"}
        value={step.state === "done" ? 100 : step.state === "failed" ? 100 : (step.progress ?? 0) * 100}
        color={
          step.state === "failed"
            ? "error"
            : step.state === "waiting"
              ? "warning"
              : step.state === "done"
                ? "success"
                : "primary"
        }
        sx={{ height: 5, mb: 0.75 }}
      />
      <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", columnGap: 0.75 }}>
        <Box sx={{ color: colour, display: "flex" }}>
          {step.state === "done" && <Check size={16} aria-hidden="true" />}
          {step.state === "failed" && <TriangleAlert size={16} aria-hidden="true" />}
          {step.state === "waiting" && <Hourglass size={16} aria-hidden="true" />}
        </Box>
        <Typography
          variant="body2"
          color={step.state === "pending" ? "textSecondary" : "textPrimary"}
          sx={{ fontWeight: moving ? 700 : 550 }}
        >
          {label}
        </Typography>
        <Typography variant="body2" color="textSecondary" sx={{ ml: "auto", textAlign: "right" }}>
          {detail}
        </Typography>
      </Box>
    </Box>
  );
}
