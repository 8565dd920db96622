import { Box, Button, IconButton, Typography } from "@mui/material";
import { TextSelect, X } from "lucide-react";
import { useI18n } from "../../i18n";
import type { Origin } from "../../lib/drawing";
import { formatPercent } from "../../lib/format";

const AROUND = 90;
const EXACT = 0.98;

interface Props {
  text: string;
  origin: Origin;
  onSelect: (() => void) | null;
  onClose: () => void;
}

/** The words that a step of the drawing comes from, with some of what is around them. */
export function SourceWords({ text, origin, onSelect, onClose }: Props) {
  const { t, lang } = useI18n();
  const { start, end, score, label } = origin;
  const from = Math.max(0, start - AROUND);
  const to = Math.min(text.length, end + AROUND);
  return (
    <Box
      role="status"
      data-testid="words"
      sx={{ display: "flex", gap: 1, mt: 1, p: 1.5, borderRadius: "10px", bgcolor: "frost.tint", color: "frost.doorText" }}
    >
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Typography variant="caption" component="p" sx={{ fontWeight: 650 }}>
          {t("draw.from", { label })}
          {score < EXACT && ` (${t("draw.reworded", { score: formatPercent(score, lang) })})`}
        </Typography>
        <Typography sx={{ overflowWrap: "anywhere", "& mark": { bgcolor: "#ffcf87", color: "#111", borderRadius: "3px", px: 0.25 } }}>
          {from > 0 && "…"}
          {text.slice(from, start)}
          <mark>{text.slice(start, end)}</mark>
          {text.slice(end, to)}
          {to < text.length && "…"}
        </Typography>
        {onSelect ? (
          <Button
            size="small"
            color="inherit"
            startIcon={<TextSelect size={15} aria-hidden="true" />}
            onClick={onSelect}
            sx={{ ml: -0.5, mt: 0.25 }}
          >
            {t("draw.seeText")}
          </Button>
        ) : (
          <Typography variant="caption">{t("draw.changed")}</Typography>
        )}
      </Box>
      <Box>
        <IconButton size="small" color="inherit" aria-label={t("common.close")} onClick={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </Box>
    </Box>
  );
}
