import { Alert, AlertTitle, Box } from "@mui/material";
import { FlaskConical, Hourglass } from "lucide-react";
import { Link } from "wouter";
import { Disclosure } from "../../components/Disclosure";
import { Linked } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { splitTimes } from "../../lib/times";
import { errorText, type Meeting } from "../../lib/types";
import { stepKey } from "./Steps";

const isDemo = (meeting: Meeting): boolean => /pocketsphinx|embedded/i.test(meeting.models?.asr ?? "");
/** The engine's own words about itself, which name the models to switch to. */
const DEMO = /moteur de démonstration|demonstration engine/i;
/** More than this is folded: a wall of remarks is read by nobody. */
const SHOWN = 2;

interface Props {
  meeting: Meeting;
  interrupted: boolean;
  onPlay: (seconds: number) => void;
}

/** What the reader must know before trusting the page: failures with their remedy, warnings, demonstration engines. */
export function Notices({ meeting, interrupted, onPlay }: Props) {
  const { t } = useI18n();
  const steps = meeting.steps ?? [];
  const failed = steps.find((step) => step.state === "failed");
  const waiting = steps.filter((step) => step.state === "waiting" && errorText(step.error));
  const reason = errorText(failed?.error) || errorText(meeting.error);
  const partial = meeting.state === "done" && failed !== undefined;
  const demo = isDemo(meeting) || (meeting.warnings ?? []).some((text) => DEMO.test(text));
  const advice = (meeting.warnings ?? []).find((text) => DEMO.test(text));
  const warnings = (meeting.warnings ?? []).filter((text) => text !== advice);
  const labelOf = (name: string): string => {
    const key = stepKey(name);
    return key ? t(key) : name;
  };
  const item = (warning: string) => (
    <li key={warning}>
      <Said text={warning} duration={meeting.duration ?? 0} onPlay={onPlay} />
    </li>
  );
  const [few, more] =
    warnings.length <= SHOWN + 1 ? [warnings, []] : [warnings.slice(0, SHOWN), warnings.slice(SHOWN)];

  return (
    <Box sx={{ display: "grid", gap: 1.5, mt: 2, "&:empty": { display: "none" } }}>
      {interrupted && <Alert severity="warning">{t("meeting.live")}</Alert>}
      {waiting.map((step) => (
        <Alert key={step.name} severity="info" icon={<Hourglass size={20} aria-hidden="true" />}>
          <AlertTitle>{t("meeting.waiting", { step: labelOf(step.name) })}</AlertTitle>
          {errorText(step.error)} {t("meeting.waitingHelp")}
        </Alert>
      ))}
      {(meeting.state === "failed" || partial) && (
        <Alert severity={partial ? "warning" : "error"}>
          <AlertTitle>{t(partial ? "meeting.partial" : "meeting.failed")}</AlertTitle>
          {reason && (
            <Box sx={{ mb: 0.5 }}>
              <Linked text={reason} />
            </Box>
          )}
          {t("meeting.failedHelp")}
        </Alert>
      )}
      {meeting.state === "cancelled" && <Alert severity="info">{t("meeting.cancelled")}</Alert>}
      {warnings.length > 0 && (
        <Alert severity="warning" sx={{ "& .MuiAlert-message": { minWidth: 0, overflowWrap: "anywhere" } }}>
          <AlertTitle>{t("meeting.warnings")}</AlertTitle>
          <Box component="ul" sx={listSx(warnings.length === 1)}>
            {few.map(item)}
          </Box>
          {more.length > 0 && (
            <Disclosure label={t("meeting.warningsMore", { n: more.length })}>
              <Box component="ul" sx={listSx(false)}>
                {more.map(item)}
              </Box>
            </Disclosure>
          )}
        </Alert>
      )}
      {(demo || meeting.synthetic) && (
        <Alert
          severity="info"
          variant="outlined"
          icon={<FlaskConical size={20} aria-hidden="true" />}
          sx={{
            bgcolor: "background.paper",
            borderColor: "divider",
            py: 0,
            color: "text.primary",
            "& .MuiAlert-icon": { color: "primary.main" },
          }}
        >
          {meeting.synthetic && `${t("meeting.syntheticNote")} `}
          {demo && (
            <>
              {advice ?? (
                <>
                  <strong>{t("meeting.demoEngine")}.</strong> {t("meeting.demoHelp")}
                </>
              )}{" "}
              <Link href="/supervision" style={{ color: "inherit", fontWeight: 600 }}>
                {t("meeting.demoLink")}
              </Link>
            </>
          )}
        </Alert>
      )}
    </Box>
  );
}

const listSx = (alone: boolean) => ({
  m: 0,
  pl: alone ? 0 : 2.5,
  listStyle: alone ? "none" : undefined,
  "& li + li": { mt: 0.5 },
});

interface SaidProps {
  text: string;
  duration: number;
  onPlay: (seconds: number) => void;
}

/** A warning whose moments of the recording can be heard. */
function Said({ text, duration, onPlay }: SaidProps) {
  const { t } = useI18n();
  return splitTimes(text, duration).map(({ text: piece, start }, index) =>
    start === undefined ? (
      <Linked key={index} text={piece} />
    ) : (
      <Box
        key={index}
        component="button"
        type="button"
        aria-label={t("meeting.listenSpan", { span: piece })}
        title={t("meeting.listenSpan", { span: piece })}
        onClick={() => onPlay(start)}
        sx={{
          all: "unset",
          cursor: "pointer",
          fontWeight: 650,
          fontVariantNumeric: "tabular-nums",
          whiteSpace: "nowrap",
          textDecoration: "underline",
          textUnderlineOffset: "2px",
          borderRadius: "3px",
          "&:hover": { textDecorationThickness: "2px" },
          "&:focus-visible": { outline: "2px solid currentColor", outlineOffset: 1 },
        }}
      >
        {piece}
      </Box>
    ),
  );
}
