import { Box, Button, InputAdornment, TextField, Tooltip, Typography } from "@mui/material";
import { AudioLines, Download, Search } from "lucide-react";
import { memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Card, Pending } from "../../components/Card";
import { CopyButton } from "../../components/CopyButton";
import { useI18n } from "../../i18n";
import { formatClock } from "../../lib/format";
import { indexAt } from "../../lib/timeline";
import { TERMINAL, type Meeting, type Segment } from "../../lib/types";
import { exportUrl } from "./useMeeting";
import { useClock, type Clock, type PlayerState } from "./usePlayer";

interface Props {
  meeting: Meeting;
  player: PlayerState;
  colourOf: (speaker: string | null) => string;
  nameOf: (speaker: string | null) => string;
}

/** What was said, by whom; every word is a place to listen from. */
export function Transcript({ meeting, player, colourOf, nameOf }: Props) {
  const { t } = useI18n();
  const [query, setQuery] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const segments = useMemo(() => meeting.segments ?? [], [meeting.segments]);
  const wanted = query.trim().toLocaleLowerCase();
  const hits = useMemo(
    () => (wanted ? segments.filter(({ text }) => text.toLocaleLowerCase().includes(wanted)) : segments),
    [segments, wanted],
  );
  const active = useClock(
    player.clock,
    useCallback((seconds: number) => indexAt(segments, seconds), [segments]),
  );
  const current = active < 0 ? null : (segments[active] ?? null);

  // While it plays, keep what is being said in sight, unless the reader has gone to look at something else.
  const watched = useRef(false);
  useEffect(() => {
    const row = list.current?.querySelector<HTMLElement>("[data-active]");
    if (!player.playing || !row) return undefined;
    if (watched.current && !inSight(row)) row.scrollIntoView({ block: "center", behavior: "smooth" });
    watched.current = watched.current || inSight(row);
    const look = (): void => {
      watched.current = inSight(row);
    };
    window.addEventListener("wheel", look, { passive: true });
    window.addEventListener("touchmove", look, { passive: true });
    return () => {
      window.removeEventListener("wheel", look);
      window.removeEventListener("touchmove", look);
    };
  }, [current, player.playing]);

  const over = TERMINAL.has(meeting.state);
  const finished = over || meeting.steps?.some((step) => step.name === "join" && step.state === "done");
  return (
    <Card
      title={t("transcript.title")}
      icon={<AudioLines size={20} aria-hidden="true" />}
      tools={
        segments.length > 3 && (
          <TextField
            type="search"
            placeholder={t("transcript.search")}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            sx={{ width: { xs: "100%", sm: 240 } }}
            slotProps={{
              htmlInput: { "aria-label": t("transcript.search") },
              input: {
                startAdornment: (
                  <InputAdornment position="start">
                    <Search size={16} aria-hidden="true" />
                  </InputAdornment>
                ),
              },
            }}
          />
        )
      }
    >
      {segments.length === 0 ? (
        <Pending>{finished ? t("transcript.empty") : t("transcript.pending")}</Pending>
      ) : (
        <>
          <Files meeting={meeting} nameOf={nameOf} />
          {wanted && (
            <Typography variant="body2" color="textSecondary" role="status" sx={{ mb: 1 }}>
              {t("transcript.hits", { n: hits.length })}
            </Typography>
          )}
          <Box
            ref={list}
            sx={{
              "& [data-start]": { cursor: "pointer", borderRadius: "3px" },
              "& [data-start]:hover": { bgcolor: "frost.shelf" },
              "& [data-start][data-on]": { bgcolor: "primary.main", color: "primary.contrastText" },
            }}
          >
            {hits.map((segment, index) => (
              <Turn
                key={`${segment.start}-${segment.speaker}-${index}`}
                segment={segment}
                first={segment.speaker !== hits[index - 1]?.speaker}
                active={segment === current}
                clock={player.clock}
                onSeek={player.seek}
                colour={colourOf(segment.speaker)}
                name={nameOf(segment.speaker)}
              />
            ))}
          </Box>
        </>
      )}
    </Card>
  );
}

const KINDS = ["txt", "srt", "vtt", "json", "rttm"] as const;

/** The transcript alone, for who came for a text or subtitles: ready before the minutes are. */
function Files({ meeting, nameOf }: Pick<Props, "meeting" | "nameOf">) {
  const { t } = useI18n();
  const text = useMemo(
    () => (meeting.segments ?? []).map((segment) => `${nameOf(segment.speaker)} : ${segment.text}`).join("\n"),
    [meeting.segments, nameOf],
  );
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 0.5, mb: 1 }}>
      <Box role="group" aria-label={t("transcript.files")} sx={{ display: "flex", flexWrap: "wrap", gap: 0.5 }}>
        {KINDS.map((kind) => (
          <Tooltip key={kind} title={t(`meeting.download.${kind}`)}>
            <Button
              component="a"
              href={exportUrl(meeting.id, kind)}
              download
              size="small"
              variant="outlined"
              aria-label={`${t("meeting.download")} : ${t(`meeting.download.${kind}`)}`}
              startIcon={<Download size={14} aria-hidden="true" />}
              sx={{ minWidth: 0, py: 0.1, px: 1, "& .MuiButton-startIcon": { mr: 0.5 } }}
            >
              {t(`transcript.file.${kind}`)}
            </Button>
          </Tooltip>
        ))}
      </Box>
      <CopyButton text={text} label={t("transcript.copy")} />
      <Typography variant="body2" color="textSecondary" sx={{ flexBasis: "100%" }}>
        {t("transcript.help")}
      </Typography>
    </Box>
  );
}

interface TurnProps {
  segment: Segment;
  first: boolean;
  active: boolean;
  clock: Clock;
  onSeek: (seconds: number) => void;
  colour: string;
  name: string;
}

const Turn = memo(function Turn({ segment, first, active, clock, onSeek, colour, name }: TurnProps) {
  const { t } = useI18n();
  const at = formatClock(segment.start);
  return (
    <Box
      data-active={active || undefined}
      sx={{
        display: "grid",
        gridTemplateColumns: "auto minmax(0, 1fr)",
        columnGap: 1.25,
        pt: first ? 1.25 : 0.25,
        pb: 0.25,
        pl: 1.25,
        borderLeft: "4px solid",
        borderColor: colour,
        borderRadius: "2px",
        bgcolor: active ? "frost.tint" : "transparent",
        contentVisibility: "auto",
        containIntrinsicSize: "auto 60px",
      }}
    >
      {first && (
        <Typography
          component="div"
          variant="body2"
          sx={{ gridColumn: "1 / -1", fontWeight: 700, color: colour, mb: 0.25 }}
        >
          {name}
        </Typography>
      )}
      <Tooltip title={t("transcript.playFrom", { time: at })}>
        <Box
          component="button"
          type="button"
          aria-label={t("transcript.playFrom", { time: at })}
          onClick={() => onSeek(segment.start)}
          sx={{
            all: "unset",
            cursor: "pointer",
            fontSize: "0.78rem",
            color: "text.secondary",
            fontVariantNumeric: "tabular-nums",
            lineHeight: "26px",
            minWidth: 34,
            alignSelf: "start",
            "&:hover": { color: "primary.main" },
            "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main" },
          }}
        >
          {at}
        </Box>
      </Tooltip>
      <Typography
        component="p"
        sx={{ m: 0, lineHeight: 1.65, overflowWrap: "anywhere" }}
        onClick={(event) => {
          const start = (event.target as HTMLElement).dataset["start"];
          if (start !== undefined && window.getSelection()?.isCollapsed !== false) onSeek(Number(start));
        }}
      >
        {segment.words?.length ? (
          <Words segment={segment} clock={active ? clock : null} />
        ) : (
          <span data-start={segment.start}>{segment.text}</span>
        )}
      </Typography>
    </Box>
  );
});

function inSight(row: HTMLElement): boolean {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > 100 && top < window.innerHeight - 60;
}

const idle = { subscribe: () => () => undefined, get: () => -1 } as unknown as Clock;

/** Words are for the mouse; the keyboard has the time button of each turn and the player. */
function Words({ segment, clock }: { segment: Segment; clock: Clock | null }) {
  const words = segment.words ?? [];
  const active = useClock(clock ?? idle, (seconds) => indexAt(words, seconds));
  return words.map((word, index) => (
    <span key={index}>
      <span data-start={word.start} data-on={index === active && clock ? "" : undefined}>
        {word.word}
      </span>{" "}
    </span>
  ));
}
