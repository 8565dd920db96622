import { Alert, Box, IconButton, Slider, Tooltip, Typography } from "@mui/material";
import { Pause, Play, RotateCcw, RotateCw } from "lucide-react";
import { memo, type ReactNode } from "react";
import { useI18n } from "../../i18n";
import { formatClock } from "../../lib/format";
import type { Segment } from "../../lib/types";
import { useClock, type PlayerState } from "./usePlayer";

const RATES = [1, 1.25, 1.5, 2, 0.75];
const STEP_S = 5;

interface Props {
  src: string;
  player: PlayerState;
  duration: number | null;
  segments: Segment[];
  colourOf: (speaker: string | null) => string;
  children?: ReactNode;
}

/** Listening, over a ribbon that shows who speaks when. */
export function Player({ src, player, duration, segments, colourOf, children }: Props) {
  const { t } = useI18n();
  const total = duration ?? player.length ?? segments.at(-1)?.end ?? 0;
  const seconds = useClock(player.clock, (value) => Math.round(value * 10) / 10);
  const label = player.playing ? t("player.pause") : t("player.play");

  return (
    <Box
      component="section"
      aria-label={t("player.label")}
      sx={{
        bgcolor: "background.paper",
        border: 1,
        borderColor: "divider",
        borderRadius: "14px",
        px: 1.5,
        py: 1,
        mt: 2.5,
        position: "sticky",
        top: { xs: "calc(62px + var(--banner))", md: "calc(10px + var(--banner))" },
        zIndex: 10,
        boxShadow: "0 2px 12px rgba(6,40,52,.08)",
        "&::before": {
          content: '""',
          position: "absolute",
          left: -1,
          right: -1,
          top: -12,
          height: 11,
          bgcolor: "background.default",
        },
      }}
    >
      {/* The transcript is the text alternative, beside. */}
      <audio ref={player.audio} src={src} preload="metadata" />
      <Box sx={{ display: "flex", alignItems: "center", gap: { xs: 0.5, sm: 1 } }}>
        <Tooltip title={t("player.back")}>
          <IconButton aria-label={t("player.back")} onClick={() => player.move(player.clock.get() - STEP_S)}>
            <RotateCcw size={19} aria-hidden="true" />
          </IconButton>
        </Tooltip>
        <IconButton
          aria-label={label}
          onClick={player.toggle}
          sx={{
            bgcolor: "primary.main",
            color: "primary.contrastText",
            width: 44,
            height: 44,
            "&:hover": { bgcolor: "primary.dark" },
          }}
        >
          {player.playing ? (
            <Pause size={20} fill="currentColor" aria-hidden="true" />
          ) : (
            <Play size={20} fill="currentColor" aria-hidden="true" style={{ marginLeft: 2 }} />
          )}
        </IconButton>
        <Tooltip title={t("player.forward")}>
          <IconButton
            aria-label={t("player.forward")}
            onClick={() => player.move(Math.min(total, player.clock.get() + STEP_S))}
          >
            <RotateCw size={19} aria-hidden="true" />
          </IconButton>
        </Tooltip>
        <Box
          sx={{ flex: 1, minWidth: 0, mx: 1, position: "relative", height: 34, display: "flex", alignItems: "center" }}
        >
          <Ribbon segments={segments} total={total} colourOf={colourOf} />
          <Slider
            size="small"
            aria-label={t("player.position")}
            min={0}
            max={Math.max(total, 0.1)}
            step={0.1}
            value={Math.min(seconds, Math.max(total, 0.1))}
            getAriaValueText={formatClock}
            onChange={(_, value) => player.move(value as number)}
            sx={{
              position: "absolute",
              inset: 0,
              height: 34,
              p: "0 !important",
              "& .MuiSlider-rail, & .MuiSlider-track": { opacity: 0 },
              "& .MuiSlider-thumb": {
                width: 4,
                height: 30,
                borderRadius: 2,
                bgcolor: "text.primary",
                "&::before": { boxShadow: "none" },
              },
            }}
          />
        </Box>
        <Typography variant="body2" sx={{ fontVariantNumeric: "tabular-nums", whiteSpace: "nowrap" }}>
          {formatClock(seconds)}
          <Box component="span" sx={{ color: "text.secondary", display: { xs: "none", sm: "inline" } }}>
            {" / "}
            {formatClock(total)}
          </Box>
        </Typography>
        <Tooltip title={t("player.rate")}>
          <IconButton
            size="small"
            aria-label={`${t("player.rate")} ×${player.rate}`}
            onClick={() => player.setRate(RATES[(RATES.indexOf(player.rate) + 1) % RATES.length] ?? 1)}
            sx={{ fontSize: "0.8rem", fontWeight: 700, width: 44, borderRadius: 2 }}
          >
            ×{player.rate}
          </IconButton>
        </Tooltip>
      </Box>
      {children && <Box sx={{ mt: 0.75 }}>{children}</Box>}
      {player.failed && (
        <Alert severity="warning" sx={{ mt: 1 }}>
          {t("player.failed")}
        </Alert>
      )}
    </Box>
  );
}

const Ribbon = memo(function Ribbon({
  segments,
  total,
  colourOf,
}: {
  segments: Segment[];
  total: number;
  colourOf: (speaker: string | null) => string;
}) {
  return (
    <Box
      component="svg"
      viewBox="0 0 1000 20"
      preserveAspectRatio="none"
      aria-hidden="true"
      sx={{ width: "100%", height: 20, borderRadius: "5px", bgcolor: "frost.tint", display: "block" }}
    >
      {total > 0 &&
        segments.map((segment) => (
          <rect
            key={`${segment.start}-${segment.speaker}`}
            x={(segment.start / total) * 1000}
            width={Math.max(1.5, ((segment.end - segment.start) / total) * 1000 - 1)}
            y="0"
            height="20"
            fill={colourOf(segment.speaker)}
            opacity="0.85"
          />
        ))}
    </Box>
  );
});
