import { Alert, AlertTitle, Box } from "@mui/material";
import { FlaskConical } from "lucide-react";
import { Link } from "wouter";
import { useI18n } from "../../i18n";
import { errorText, type Meeting } from "../../lib/types";

const isDemo = (meeting: Meeting): boolean => /pocketsphinx|embedded/i.test(meeting.models?.asr ?? "");

/** What the reader must know before trusting the page: failures with their remedy, warnings, demonstration engines. */
export function Notices({ meeting, interrupted }: { meeting: Meeting; interrupted: boolean }) {
  const { t } = useI18n();
  const failed = (meeting.steps ?? []).find((step) => step.state === "failed");
  const reason = errorText(failed?.error) || errorText(meeting.error);
  const warnings = meeting.warnings ?? [];

  return (
    <Box sx={{ display: "grid", gap: 1.5, mt: 2, "&:empty": { display: "none" } }}>
      {interrupted && <Alert severity="warning">{t("meeting.live")}</Alert>}
      {meeting.state === "failed" && (
        <Alert severity="error">
          <AlertTitle>{t("meeting.failed")}</AlertTitle>
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
      {(isDemo(meeting) || meeting.synthetic) && (
        <Alert severity="info" variant="outlined" icon={<FlaskConical size={20} aria-hidden="true" />} sx={{ bgcolor: "background.paper", borderColor: "divider", py: 0, color: "text.primary", "& .MuiAlert-icon": { color: "primary.main" } }}>
          {meeting.synthetic && `${t("meeting.syntheticNote")} `}
          {isDemo(meeting) && (
            <>
              <strong>{t("meeting.demoEngine")}.</strong> {t("meeting.demoHelp")}{" "}
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
