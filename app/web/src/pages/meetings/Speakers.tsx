import { Alert, Box, Button, IconButton, Popover, TextField, Tooltip, Typography } from "@mui/material";
import { AudioWaveform, Pencil, Volume2 } from "lucide-react";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { useI18n } from "../../i18n";
import { formatPercent } from "../../lib/format";
import { useAct } from "../../lib/hooks";
import type { Meeting } from "../../lib/types";
import { isPersonal, likeness } from "../../lib/voices";

interface Props {
  meeting: Meeting;
  colourOf: (speaker: string | null) => string;
  nameOf: (speaker: string | null) => string;
  onRename: (speakers: Record<string, string>) => Promise<void>;
  /** Let the voice of a speaker be known by a name. */
  onRemember: (speaker: string, name: string) => Promise<void>;
  onListen: (seconds: number) => void;
}

/** Who speaks, for how long; each name can be changed, each voice heard first. */
export function Speakers({ meeting, colourOf, nameOf, onRename, onRemember, onListen }: Props) {
  const { t, lang } = useI18n();
  const [edited, setEdited] = useState<{ id: string; anchor: HTMLElement } | null>(null);
  const [draft, setDraft] = useState("");
  const [kept, setKept] = useState("");
  const { busy, problem, run, forget } = useAct();
  const talk = useMemo(() => talkTime(meeting), [meeting]);
  const total = Object.values(talk).reduce((sum, { seconds }) => sum + seconds, 0);

  const save = async (): Promise<void> => {
    if (!edited) return;
    const name = draft.trim();
    const { id } = edited;
    setEdited(null);
    if (name && name !== nameOf(id)) await onRename({ [id]: name });
  };

  const remember = async (): Promise<void> => {
    const name = draft.trim();
    if (!edited || !isPersonal(name)) return;
    const { id } = edited;
    if (await run("remember", () => onRemember(id, name))) setKept(name);
  };
  const close = (): void => {
    if (!busy) setEdited(null);
  };

  return (
    <Box
      component="section"
      aria-label={t("speakers.title")}
      sx={{ display: "flex", flexWrap: "wrap", columnGap: 2.5, rowGap: 0.5, pl: 0.5 }}
    >
      {Object.keys(meeting.speakers).map((id) => {
        const name = nameOf(id);
        const voice = talk[id];
        const alike = likeness(meeting, id);
        return (
          <Box
            key={id}
            sx={{
              display: "flex",
              alignItems: "center",
              gap: 0.5,
              borderLeft: "5px solid",
              borderLeftColor: colourOf(id),
              borderRadius: "3px",
              pl: 1,
            }}
          >
            <Typography variant="body2" sx={{ fontWeight: 700, color: colourOf(id) }}>
              {name}
            </Typography>
            {voice && total > 0 && (
              <Tooltip describeChild title={t("speakers.share", { share: formatPercent(voice.seconds / total, lang) })}>
                <Typography variant="body2" color="textSecondary">
                  {formatPercent(voice.seconds / total, lang)}
                </Typography>
              </Tooltip>
            )}
            {alike !== null && (
              <Tooltip
                describeChild
                title={t("speakers.recognisedHelp", { likeness: formatPercent(alike, lang) })}
              >
                <Typography
                  variant="body2"
                  data-recognised={id}
                  sx={{ display: "flex", alignItems: "center", gap: 0.4, color: "success.main", fontWeight: 600 }}
                >
                  <AudioWaveform size={14} aria-hidden="true" />
                  {t("speakers.recognised", { likeness: formatPercent(alike, lang) })}
                </Typography>
              </Tooltip>
            )}
            {voice && (
              <Tooltip title={t("speakers.listen", { name })}>
                <IconButton
                  size="small"
                  aria-label={t("speakers.listen", { name })}
                  onClick={() => onListen(voice.longest)}
                >
                  <Volume2 size={16} aria-hidden="true" />
                </IconButton>
              </Tooltip>
            )}
            <Tooltip title={t("speakers.rename", { name })}>
              <IconButton
                size="small"
                aria-label={t("speakers.rename", { name })}
                onClick={(event) => {
                  setDraft(name);
                  setKept("");
                  forget();
                  setEdited({ id, anchor: event.currentTarget });
                }}
              >
                <Pencil size={15} aria-hidden="true" />
              </IconButton>
            </Tooltip>
          </Box>
        );
      })}
      <Popover
        open={edited !== null}
        anchorEl={edited?.anchor ?? null}
        onClose={close}
        anchorOrigin={{ vertical: "bottom", horizontal: "left" }}
      >
        <Box
          component="form"
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
          sx={{ p: 2, width: 340, maxWidth: "calc(100vw - 48px)", display: "grid", gap: 1.5 }}
        >
          <Typography variant="body2" color="textSecondary">
            {t("speakers.help", { example: edited ? nameOf(edited.id) : "" })}
          </Typography>
          <TextField
            autoFocus
            label={t("speakers.title")}
            value={draft}
            onChange={(e) => {
              setDraft(e.target.value);
              setKept("");
              forget();
            }}
            disabled={busy !== null}
            onFocus={(e) => e.target.select()}
            slotProps={{ htmlInput: { maxLength: 80 } }}
          />
          <Box sx={{ display: "flex", gap: 1, justifyContent: "flex-end" }}>
            <Button onClick={close}>{t(kept ? "common.close" : "common.cancel")}</Button>
            <Button type="submit" variant="contained" disabled={busy !== null || kept !== ""}>
              {t("common.save")}
            </Button>
          </Box>
          <Box sx={{ borderTop: 1, borderColor: "divider", pt: 1.5, display: "grid", gap: 1, justifyItems: "start" }}>
            {kept ? (
              <Alert severity="success" role="status" sx={{ width: "100%" }}>
                {t("speakers.remembered", { name: kept })}{" "}
                <Link href="/voix" style={{ color: "inherit", fontWeight: 600 }}>
                  {t("speakers.rememberedLink")}
                </Link>
              </Alert>
            ) : (
              <>
                <Button
                  variant="outlined"
                  startIcon={<AudioWaveform size={16} aria-hidden="true" />}
                  loading={busy !== null}
                  loadingPosition="start"
                  disabled={!isPersonal(draft)}
                  onClick={() => void remember()}
                >
                  {t("speakers.remember")}
                </Button>
                <Typography variant="caption" color="textSecondary">
                  {!isPersonal(draft) && <strong>{t("speakers.rememberName")} </strong>}
                  {t("speakers.rememberHelp")}
                </Typography>
              </>
            )}
            {problem && (
              <Alert severity="error" sx={{ width: "100%" }}>
                {problem}
              </Alert>
            )}
          </Box>
        </Box>
      </Popover>
    </Box>
  );
}

/** Seconds of speech of each speaker, and where their longest turn begins (the best one to know a voice by). */
function talkTime(meeting: Meeting): Record<string, { seconds: number; longest: number; best: number }> {
  const talk: Record<string, { seconds: number; longest: number; best: number }> = {};
  for (const { speaker, start, end } of meeting.segments ?? []) {
    if (!speaker) continue;
    const entry = (talk[speaker] ??= { seconds: 0, longest: start, best: 0 });
    entry.seconds += end - start;
    if (end - start > entry.best) {
      entry.best = end - start;
      entry.longest = start;
    }
  }
  return talk;
}
