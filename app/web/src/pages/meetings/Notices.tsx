import { Alert, AlertTitle, Box } from "@mui/material";
import { FlaskConical } from "lucide-react";
import { Link } from "wouter";
import { useI18n } from "../../i18n";
import { errorText, type Meeting } from "../../lib/types";

const isDemo = (meeting: Meeting): boolean => /pocketsphinx|embedded/i.test(meeting.models?.asr ?? "");
/** The engine's own words about itself, which name the models to switch to. */
const DEMO = /moteur de démonstration|demonstration engine/i;

/** What the reader must know before trusting the page: failures with their remedy, warnings, demonstration engines. */
export function Notices({ meeting, interrupted }: { meeting: Meeting; interrupted: boolean }) {
  const { t } = useI18n();
  const failed = (meeting.steps ?? []).find((step) => step.state === "failed");
  const reason = errorText(failed?.error) || errorText(meeting.error);
  const partial = meeting.state === "done" && failed !== undefined;
  const demo = isDemo(meeting) || (meeting.warnings ?? []).some((text) => DEMO.test(text));
  const advice = (meeting.warnings ?? []).find((text) => DEMO.test(text)) ?? t("meeting.demoHelp");
  const warnings = (meeting.warnings ?? []).filter((text) => text !== advice);

  return (
    <Box sx={{ display: "grid", gap: 1.5, mt: 2, "&:empty": { display: "none" } }}>
      {interrupted && <Alert severity="warning">{t("meeting.live")}</Alert>}
      {(meeting.state === "failed" || partial) && (
        <Alert severity={partial ? "warning" : "error"}>
          <AlertTitle>{t(partial ? "meeting.partial" : "meeting.failed")}</AlertTitle>
          {reason && <Box sx={{ mb: 0.5 }}>{reason}</Box>}
          {t("meeting.failedHelp")}
        </Alert>
      )}
      {meeting.state === "cancelled" && <Alert severity="info">{t("meeting.cancelled")}</Alert>}
      {warnings.length > 0 && (
        <Alert severity="warning">
          <AlertTitle>{t("meeting.warnings")}</AlertTitle>
          {warnings.length === 1 ? (
            warnings[0]
          ) : (
            <Box component="ul" sx={{ m: 0, pl: 2.5 }}>
              {warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </Box>
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
              <strong>{t("meeting.demoEngine")}.</strong> {advice}{" "}
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
