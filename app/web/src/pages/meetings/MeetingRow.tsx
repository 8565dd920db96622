import { Box, IconButton, LinearProgress, Tooltip, Typography } from "@mui/material";
import { Trash2 } from "lucide-react";
import { Link } from "wouter";
import { StateChip, SyntheticChip } from "../../components/Chips";
import { useI18n } from "../../i18n";
import { formatDate, formatDuration } from "../../lib/format";
import { overallProgress } from "../../lib/steps";
import { TERMINAL, type MeetingSummary } from "../../lib/types";

/** One meeting standing on its glass shelf. */
export function MeetingRow({ meeting, onDelete }: { meeting: MeetingSummary; onDelete: () => void }) {
  const { t, lang } = useI18n();
  const title = meeting.title || t("meetings.untitled");
  const details = [
    formatDate(meeting.created_at, lang),
    meeting.duration ? formatDuration(meeting.duration, lang) : "",
  ].filter(Boolean);
  const live = !TERMINAL.has(meeting.state);

  return (
    <Box
      component="li"
      sx={{
        position: "relative",
        display: "grid",
        gridTemplateColumns: { xs: "minmax(0, 1fr) auto", sm: "minmax(0, 1fr) auto auto" },
        alignItems: "center",
        columnGap: 1.5,
        rowGap: 1,
        py: 1.5,
        px: 1,
        borderRadius: "10px 10px 0 0",
        "&:hover": { bgcolor: "frost.tint" },
        "&::after": {
          content: '""',
          position: "absolute",
          left: 0,
          right: 0,
          bottom: 0,
          height: 3,
          borderRadius: 2,
          bgcolor: "frost.shelf",
        },
      }}
    >
      <Box sx={{ minWidth: 0 }}>
        <Box
          component={Link}
          href={`/reunions/${encodeURIComponent(meeting.id)}`}
          sx={{
            color: "text.primary",
            fontWeight: 650,
            fontSize: "1rem",
            textDecoration: "none",
            overflowWrap: "anywhere",
            "&:hover": { textDecoration: "underline", textDecorationColor: "primary.main" },
            // The whole row answers to the click.
            "&::after": { content: '""', position: "absolute", inset: 0 },
          }}
        >
          {title}
        </Box>
        <Typography variant="body2" color="textSecondary" component="div">
          {details.join(" · ")}
        </Typography>
        {live && meeting.steps && (
          <LinearProgress
            aria-label={t("steps.title")}
            variant={meeting.state === "queued" ? "indeterminate" : "determinate"}
            value={overallProgress(meeting.steps) * 100}
            sx={{ mt: 0.75, maxWidth: 320 }}
          />
        )}
      </Box>
      <Box
        sx={{ display: "flex", flexWrap: "wrap", gap: 0.75, gridRow: { xs: 2, sm: 1 }, gridColumn: { xs: 1, sm: 2 } }}
      >
        {meeting.synthetic && <SyntheticChip />}
        <StateChip state={meeting.state} />
      </Box>
      <Tooltip title={t("common.delete")}>
        <IconButton
          aria-label={t("meetings.delete", { title })}
          onClick={onDelete}
          sx={{ position: "relative", zIndex: 1, gridRow: 1, gridColumn: { xs: 2, sm: 3 } }}
        >
          <Trash2 size={18} aria-hidden="true" />
        </IconButton>
      </Tooltip>
    </Box>
  );
}
