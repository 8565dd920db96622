import { Box, LinearProgress, Typography } from "@mui/material";
import { Check, Hourglass, TriangleAlert } from "lucide-react";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { formatClock, formatDuration, formatPercent, formatRate, formatRough } from "../../lib/format";
import { resumable } from "../../lib/steps";
import { TERMINAL, type Meeting, type Step } from "../../lib/types";

const NAMES = new Set(["asr", "diarize", "join", "minutes", "diagram"]);
const WORTH_SECONDS = 0.1;

export const stepKey = (name: string): Key | null => (NAMES.has(name) ? (`steps.${name}` as Key) : null);

/** The five steps as they go; a quiet line of times once all is done. */
export function Steps({ meeting }: { meeting: Meeting }) {
  const { t, lang } = useI18n();
  const steps = meeting.steps ?? [];
  const label = (step: Step): string => {
    const key = stepKey(step.name);
    return key ? t(key) : step.name;
  };
  const rate = (step: Step): string => (step.rate ? t("steps.rate", { rate: formatRate(step.rate, lang) }) : "");
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
          sx={{ listStyle: "none", m: 0, p: 0, display: "flex", flexWrap: "wrap", columnGap: 2, rowGap: 0.25 }}
        >
          {steps.map((step) => (
            <Box component="li" key={step.name} sx={{ display: "flex", alignItems: "center", gap: 0.5 }}>
              <Box sx={{ color: "success.main", display: "flex" }}>
                <Check size={15} aria-hidden="true" />
              </Box>
              {label(step)}{" "}
              {step.seconds !== null && step.seconds >= WORTH_SECONDS && formatDuration(step.seconds, lang)}
              {step.rate ? <span title={t("steps.rateHelp")}>({rate(step)})</span> : null}
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
          gridTemplateColumns: { xs: "1fr", sm: "repeat(auto-fit, minmax(170px, 1fr))" },
        }}
      >
        {steps.map((step) => (
          <StepItem key={step.name} step={step} label={label(step)} detail={detail(step)} figures={figures(step)} />
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

  /** How much of the recording is done, how fast, and for how long still; what is not known is left out. */
  function figures(step: Step): { position: string; pace: string } {
    if (step.state !== "running" && step.state !== "waiting") return { position: "", pace: rate(step) };
    const { seconds_done: done, seconds_total: total, eta_seconds: eta } = step;
    const known = typeof done === "number" && typeof total === "number" && total > 0;
    return {
      position: known ? t("steps.position", { done: formatClock(done), total: formatClock(total) }) : "",
      pace:
        step.state === "waiting"
          ? ""
          : [rate(step), typeof eta === "number" ? t("steps.eta", { wait: formatRough(eta) }) : ""]
              .filter(Boolean)
              .join(" · "),
    };
  }
}

interface ItemProps {
  step: Step;
  label: string;
  detail: string;
  figures: { position: string; pace: string };
}

function StepItem({ step, label, detail, figures }: ItemProps) {
  const { t } = useI18n();
  const moving = step.state === "running" || step.state === "waiting";
  const colour = {
    done: "success.main",
    failed: "error.main",
    waiting: "warning.main",
    running: "primary.main",
    pending: "text.secondary",
  }[step.state];
  const known = step.state === "done" || (step.state === "running" && (step.progress ?? 0) > 0);
  const said = [detail, figures.position, figures.pace].filter(Boolean).join(", ");
  return (
    <Box component="li" data-step={step.name} aria-current={moving ? "step" : undefined} sx={{ minWidth: 0 }}>
      <LinearProgress
        aria-label={label}
        aria-valuetext={said}
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
        {(step.state === "done" || step.state === "failed" || step.state === "waiting") && (
          <Box sx={{ color: colour, display: "flex" }}>
            {step.state === "done" && <Check size={16} aria-hidden="true" />}
            {step.state === "failed" && <TriangleAlert size={16} aria-hidden="true" />}
            {step.state === "waiting" && <Hourglass size={16} aria-hidden="true" />}
          </Box>
        )}
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
      {(figures.position || figures.pace) && (
        <Box
          sx={{
            display: "flex",
            flexDirection: { xs: "row", sm: "column" },
            flexWrap: "wrap",
            columnGap: 1,
            fontVariantNumeric: "tabular-nums",
          }}
        >
          {figures.position && (
            <Typography variant="caption" color="textSecondary">
              {figures.position}
            </Typography>
          )}
          {figures.pace && (
            <Typography variant="caption" color="textSecondary" title={t("steps.rateHelp")}>
              {figures.pace}
            </Typography>
          )}
        </Box>
      )}
    </Box>
  );
}
