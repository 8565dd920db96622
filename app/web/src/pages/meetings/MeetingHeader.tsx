import { Box, Button, IconButton, ListItemText, Menu, MenuItem, TextField, Tooltip, Typography } from "@mui/material";
import { Download, Pencil, RotateCcw, Square } from "lucide-react";
import { useState } from "react";
import { StateChip, SyntheticChip } from "../../components/Chips";
import { useI18n } from "../../i18n";
import { formatDate, formatDuration } from "../../lib/format";
import { saveDiagram } from "../../lib/picture";
import { resumable } from "../../lib/steps";
import { TERMINAL, type Meeting } from "../../lib/types";
import { exportUrl } from "./useMeeting";

interface Props {
  meeting: Meeting;
  onRename: (title: string) => Promise<void>;
  onAct: (action: "cancel" | "retry") => Promise<void>;
}

export function MeetingHeader({ meeting, onRename, onAct }: Props) {
  const { t, lang } = useI18n();
  const [editing, setEditing] = useState(false);
  const [draft, setDraft] = useState("");
  const [pending, setPending] = useState(false);
  const title = meeting.title || t("meetings.untitled");
  const live = !TERMINAL.has(meeting.state);
  const people = Object.keys(meeting.speakers ?? {}).length;

  const act = async (action: "cancel" | "retry"): Promise<void> => {
    setPending(true);
    await onAct(action);
    setPending(false);
  };
  const save = async (): Promise<void> => {
    const next = draft.trim();
    setEditing(false);
    if (next && next !== meeting.title) await onRename(next);
  };

  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, alignItems: "flex-start", mt: 1 }}>
      <Box sx={{ flex: "1 1 320px", minWidth: 0 }}>
        {editing ? (
          <Box
            component="form"
            onSubmit={(event) => {
              event.preventDefault();
              void save();
            }}
            onKeyDown={(event) => event.key === "Escape" && setEditing(false)}
            sx={{ display: "flex", gap: 1, alignItems: "center", maxWidth: 640 }}
          >
            <TextField
              autoFocus
              fullWidth
              label={t("meeting.renameDone")}
              value={draft}
              onChange={(e) => setDraft(e.target.value)}
              slotProps={{ htmlInput: { maxLength: 200 } }}
            />
            <Button type="submit" variant="contained">
              {t("common.save")}
            </Button>
            <Button onClick={() => setEditing(false)}>{t("common.cancel")}</Button>
          </Box>
        ) : (
          <Box sx={{ display: "flex", alignItems: "flex-start", gap: 0.5 }}>
            <Typography
              variant="h1"
              sx={{ overflowWrap: "anywhere", fontSize: "clamp(1.45rem, 1.2rem + 1vw, 1.85rem)" }}
            >
              {title}
            </Typography>
            <Tooltip title={t("meeting.rename")}>
              <IconButton
                size="small"
                aria-label={t("meeting.rename")}
                onClick={() => {
                  setDraft(meeting.title);
                  setEditing(true);
                }}
              >
                <Pencil size={17} aria-hidden="true" />
              </IconButton>
            </Tooltip>
          </Box>
        )}
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 1, mt: 1 }}>
          <StateChip state={meeting.state} />
          {meeting.synthetic && <SyntheticChip />}
          <Typography variant="body2" color="textSecondary">
            {[
              formatDate(meeting.created_at, lang),
              meeting.duration ? formatDuration(meeting.duration, lang) : "",
              people > 0 ? t("meeting.speakers", { n: people }) : "",
            ]
              .filter(Boolean)
              .join(" · ")}
          </Typography>
        </Box>
      </Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 1 }}>
        {live && (
          <Button
            variant="outlined"
            color="error"
            startIcon={<Square size={15} aria-hidden="true" />}
            loading={pending}
            loadingPosition="start"
            onClick={() => void act("cancel")}
          >
            {t("meeting.cancel")}
          </Button>
        )}
        {resumable(meeting) && (
          <Button
            variant="contained"
            startIcon={<RotateCcw size={16} aria-hidden="true" />}
            loading={pending}
            loadingPosition="start"
            onClick={() => void act("retry")}
          >
            {t("meeting.retry")}
          </Button>
        )}
        {meeting.segments?.length > 0 && <Exports meeting={meeting} />}
      </Box>
    </Box>
  );
}

function Exports({ meeting }: { meeting: Meeting }) {
  const { t } = useI18n();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const kinds = (["md", "txt", "srt", "vtt", "json", "rttm", "mmd"] as const).filter(
    (kind) => (kind !== "md" || meeting.minutes) && (kind !== "mmd" || meeting.diagram),
  );
  const close = (): void => setAnchor(null);
  return (
    <>
      <Button
        variant="outlined"
        startIcon={<Download size={17} aria-hidden="true" />}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        {t("meeting.download")}
      </Button>
      <Menu open={anchor !== null} anchorEl={anchor} onClose={close}>
        {kinds.map((kind) => (
          <MenuItem key={kind} component="a" href={exportUrl(meeting.id, kind)} download onClick={close}>
            <ListItemText>{t(`meeting.download.${kind}`)}</ListItemText>
          </MenuItem>
        ))}
        {meeting.diagram &&
          (["svg", "png"] as const).map((format) => (
            <MenuItem
              key={format}
              onClick={() => {
                close();
                if (meeting.diagram) void saveDiagram(meeting.diagram.mermaid, meeting.title || "diagramme", format);
              }}
            >
              <ListItemText>{t(`meeting.download.${format}`)}</ListItemText>
            </MenuItem>
          ))}
      </Menu>
    </>
  );
}
