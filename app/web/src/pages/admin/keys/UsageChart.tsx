import { Box, MenuItem, TextField, ToggleButton, ToggleButtonGroup, Typography } from "@mui/material";
import { useMemo, useState } from "react";
import { Disclosure } from "../../../components/Disclosure";
import { ListFailed } from "../../../components/ListFailed";
import { useI18n } from "../../../i18n";
import { request } from "../../../lib/api";
import { formatDay, formatNumber } from "../../../lib/format";
import { usePolling } from "../../../lib/hooks";
import { daysOf, KEYS, totalOf, type ApiKey, type Day, type KeyDay } from "../../../lib/keys";
import { UsageTable } from "./UsageTable";

const PERIODS = [7, 30, 90] as const;
const CALM = 15_000;
const HEIGHT = 120;
const AUDIO_HEIGHT = 34;

/** What keys used, day by day: bars to see, figures to read. */
export function UsageChart({ keys, headers }: { keys: readonly ApiKey[]; headers: Record<string, string> }) {
  const { t } = useI18n();
  const [period, setPeriod] = useState<number>(30);
  const [keyId, setKeyId] = useState("");
  const { data, error, refresh } = usePolling(
    async (signal) =>
      (await request<{ usage: KeyDay[] }>(`${KEYS}/usage?days=${period}`, { signal, headers })).usage,
    () => CALM,
    [headers["Authorization"], period],
  );
  const chosen = keys.some(({ id }) => id === keyId) ? keyId : "";
  const days = useMemo(() => daysOf(data ?? [], period, new Date(), chosen), [data, period, chosen]);
  const total = totalOf(days);
  const empty = total.requests === 0;

  return (
    <Box sx={{ borderTop: 1, borderColor: "divider", mt: 1, pt: 2 }}>
      <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 1.5, mb: 1.5 }}>
        <Typography variant="h3" sx={{ flex: "1 1 160px" }}>
          {t("keys.usage")}
        </Typography>
        <TextField
          select
          label={t("keys.usageOf")}
          value={chosen}
          onChange={(event) => setKeyId(event.target.value)}
          sx={{ flex: "1 1 180px", maxWidth: 260 }}
          slotProps={{
            select: { displayEmpty: true, SelectDisplayProps: { "aria-label": t("keys.usageOf") } },
            inputLabel: { shrink: true },
          }}
        >
          <MenuItem value="">{t("keys.usageAll")}</MenuItem>
          {keys.map(({ id, name }) => (
            <MenuItem key={id} value={id}>
              {name}
            </MenuItem>
          ))}
        </TextField>
        <ToggleButtonGroup
          exclusive
          size="small"
          aria-label={t("keys.period")}
          value={period}
          onChange={(_, next: number | null) => next && setPeriod(next)}
        >
          {PERIODS.map((count) => (
            <ToggleButton key={count} value={count} sx={{ textTransform: "none", px: 1.25 }}>
              {t("keys.days", { n: count })}
            </ToggleButton>
          ))}
        </ToggleButtonGroup>
      </Box>
      <ListFailed text={t("keys.usageFailed")} error={error} onRetry={refresh} />
      {data && empty && (
        <Typography variant="body2" color="textSecondary">
          {t("keys.usageEmpty")}
        </Typography>
      )}
      {data && !empty && (
        <>
          <Bars days={days} />
          <Disclosure label={t("keys.figures")}>
            <UsageTable days={days} />
          </Disclosure>
        </>
      )}
    </Box>
  );
}

function Bars({ days }: { days: readonly Day[] }) {
  const { t, lang } = useI18n();
  const number = (value: number): string => formatNumber(Math.round(value), lang);
  const total = totalOf(days);
  const most = Math.max(1, ...days.map((day) => day.prompt_tokens + day.completion_tokens));
  const loudest = Math.max(...days.map((day) => day.audio_seconds));
  const first = days[0]?.day ?? "";
  const last = days.at(-1)?.day ?? "";
  const said = t("keys.chart", {
    from: formatDay(first, lang),
    to: formatDay(last, lang),
    prompt: number(total.prompt_tokens),
    completion: number(total.completion_tokens),
    audio: number(total.audio_seconds),
    peak: number(most),
  });
  return (
    <Box component="figure" role="img" aria-label={said} data-testid="usage" sx={{ m: 0 }}>
      <Box sx={{ display: "flex", flexWrap: "wrap", columnGap: 2, mb: 1 }}>
        <Legend colour="primary.main" text={`${t("keys.prompt")} : ${number(total.prompt_tokens)}`} />
        <Legend colour="secondary.main" text={`${t("keys.completion")} : ${number(total.completion_tokens)}`} />
        {loudest > 0 && <Legend colour="success.main" text={`${t("keys.audio")} : ${number(total.audio_seconds)}`} />}
      </Box>
      <Box sx={{ position: "relative", borderTop: "1px dashed", borderColor: "divider" }}>
        <Typography
          variant="caption"
          color="textSecondary"
          sx={{ position: "absolute", right: 0, top: -19, fontVariantNumeric: "tabular-nums" }}
        >
          {number(most)}
        </Typography>
        <Columns days={days} height={HEIGHT}>
          {(day) => (
            <>
              <Bar ratio={day.completion_tokens / most} colour="secondary.main" />
              <Bar ratio={day.prompt_tokens / most} colour="primary.main" />
            </>
          )}
        </Columns>
      </Box>
      {loudest > 0 && (
        <Box sx={{ mt: 0.75 }}>
          <Columns days={days} height={AUDIO_HEIGHT}>
            {(day) => <Bar ratio={day.audio_seconds / loudest} colour="success.main" />}
          </Columns>
        </Box>
      )}
      <Box sx={{ display: "flex", justifyContent: "space-between", mt: 0.5 }}>
        {[first, days[Math.floor(days.length / 2)]?.day ?? "", last].map((day) => (
          <Typography key={day} variant="caption" color="textSecondary">
            {formatDay(day, lang, true)}
          </Typography>
        ))}
      </Box>
    </Box>
  );
}

function Columns({
  days,
  height,
  children,
}: {
  days: readonly Day[];
  height: number;
  children: (day: Day) => React.ReactNode;
}) {
  const { t, lang } = useI18n();
  const number = (value: number): string => formatNumber(Math.round(value), lang);
  return (
    <Box sx={{ display: "flex", gap: days.length > 40 ? "1px" : "3px", height, borderBottom: 1, borderColor: "divider" }}>
      {days.map((day) => (
        <Box
          key={day.day}
          title={t("keys.bar", {
            day: formatDay(day.day, lang),
            prompt: number(day.prompt_tokens),
            completion: number(day.completion_tokens),
            audio: number(day.audio_seconds),
          })}
          sx={{
            flex: 1,
            minWidth: 0,
            display: "flex",
            flexDirection: "column",
            justifyContent: "flex-end",
            borderRadius: "3px 3px 0 0",
            "&:hover": { bgcolor: "frost.tint" },
          }}
        >
          {children(day)}
        </Box>
      ))}
    </Box>
  );
}

/** Something, however little, is never nothing: at least two pixels. */
function Bar({ ratio, colour }: { ratio: number; colour: string }) {
  if (ratio <= 0) return null;
  return (
    <Box
      sx={{
        flex: "none",
        height: `max(2px, ${(ratio * 100).toFixed(2)}%)`,
        bgcolor: colour,
        "&:first-of-type": { borderRadius: "3px 3px 0 0" },
      }}
    />
  );
}

function Legend({ colour, text }: { colour: string; text: string }) {
  return (
    <Typography variant="caption" sx={{ display: "flex", alignItems: "center", gap: 0.6 }}>
      <Box component="span" sx={{ width: 11, height: 11, borderRadius: "3px", bgcolor: colour }} />
      {text}
    </Typography>
  );
}
