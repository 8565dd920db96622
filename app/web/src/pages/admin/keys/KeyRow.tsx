import { Box, Button, Chip, Typography } from "@mui/material";
import { Pencil, ShieldOff, Trash2 } from "lucide-react";
import { useI18n, type Lang, type Translate } from "../../../i18n";
import { formatDay, formatDuration, formatNumber, formatPercent } from "../../../lib/format";
import type { ApiKey } from "../../../lib/keys";
import { MONO } from "../../../theme";
import { rowSx } from "../ModelParts";

const COLOURS = { active: "success", expired: "warning", revoked: "default" } as const;

/** What a key may do, in words. */
export function limitsText(key: ApiKey, t: Translate, lang: Lang): string {
  const said = (count: number | null, name: "keys.minuteLimit" | "keys.dayLimit"): string =>
    count ? t(name, { n: count, count: formatNumber(count, lang) }) : "";
  const limits = [
    said(key.requests_per_minute, "keys.minuteLimit"),
    said(key.tokens_per_day, "keys.dayLimit"),
  ].filter(Boolean);
  return limits.join(" · ") || t("keys.unlimited");
}

function endText(key: ApiKey, t: Translate, lang: Lang): string {
  if (key.state === "revoked") return t("keys.revokedOn", { date: formatDay(key.revoked_at ?? "", lang) });
  if (!key.expires_at) return t("keys.endless");
  return t(key.state === "expired" ? "keys.ended" : "keys.ends", { date: formatDay(key.expires_at, lang) });
}

function todayText({ today, tokens_per_day: limit }: ApiKey, t: Translate, lang: Lang): string {
  const count = today.prompt_tokens + today.completion_tokens;
  const figures = {
    requests: t("keys.requests", { n: today.requests }),
    tokens: t("keys.tokens", { n: count, count: formatNumber(count, lang) }),
    audio: formatDuration(today.audio_seconds, lang),
  };
  const text = t(today.audio_seconds > 0 ? "keys.todayAudio" : "keys.today", figures);
  return limit ? `${text} (${t("keys.share", { share: formatPercent(count / limit, lang) })})` : text;
}

export function KeyRow({
  apiKey: key,
  onEdit,
  onRemove,
}: {
  apiKey: ApiKey;
  onEdit: () => void;
  onRemove: () => void;
}) {
  const { t, lang } = useI18n();
  const revoked = key.state === "revoked";
  return (
    <Box component="li" data-key={key.name} sx={{ ...rowSx, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "minmax(0, 1fr) auto" } }}>
      <Box sx={{ minWidth: 0 }}>
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", columnGap: 1.25, rowGap: 0.25 }}>
          <Typography sx={{ fontWeight: 700, overflowWrap: "anywhere" }}>{key.name}</Typography>
          <Box component="code" sx={{ fontFamily: MONO, fontSize: "0.82rem", color: "text.secondary" }}>
            {key.prefix}
          </Box>
          <Chip size="small" variant="outlined" color={COLOURS[key.state]} label={t(`keys.state.${key.state}`)} />
        </Box>
        <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: "anywhere" }}>
          {[endText(key, t, lang), key.models?.join(", ") ?? t("keys.allModels"), limitsText(key, t, lang)].join(" · ")}
        </Typography>
        {(!revoked || key.today.requests > 0) && (
          <Typography variant="body2" sx={{ fontVariantNumeric: "tabular-nums" }}>
            {todayText(key, t, lang)}
          </Typography>
        )}
      </Box>
      <Box sx={{ display: "flex", gap: 0.5, ml: -0.75 }}>
        {!revoked && (
          <Button
            size="small"
            startIcon={<Pencil size={15} aria-hidden="true" />}
            aria-label={t("keys.editOf", { name: key.name })}
            onClick={onEdit}
          >
            {t("keys.edit")}
          </Button>
        )}
        <Button
          size="small"
          color="error"
          startIcon={revoked ? <Trash2 size={15} aria-hidden="true" /> : <ShieldOff size={15} aria-hidden="true" />}
          aria-label={t(revoked ? "keys.forgetOf" : "keys.revokeOf", { name: key.name })}
          onClick={onRemove}
        >
          {t(revoked ? "keys.forget" : "keys.revoke")}
        </Button>
      </Box>
    </Box>
  );
}
