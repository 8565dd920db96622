import { Box, Typography } from "@mui/material";
import { Disclosure } from "../../components/Disclosure";
import { Linked } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { formatBytes } from "../../lib/format";
import { standIn } from "../../lib/models";
import type { ModelInfo, Selection } from "../../lib/types";

/** Why this model: the choice in a sentence, what there was, and what was put aside for what reason. */
export function Why({ selection, models }: { selection: Selection; models: readonly ModelInfo[] }) {
  const { t, lang } = useI18n();
  if (!selection.chosen) return null;
  const meanwhile = standIn(models, selection.chosen);
  const rejected = selection.rejected ?? [];
  return (
    <Box sx={{ mb: 1.5 }}>
      <Typography variant="body2">
        {t("admin.chosen")} <strong>{selection.chosen}</strong>
        {meanwhile && ` ${t("admin.meanwhile", { model: meanwhile })}`}
      </Typography>
      <Typography variant="body2" color="textSecondary">
        {selection.why}{" "}
        {selection.available_bytes
          ? t("admin.available", { size: formatBytes(selection.available_bytes, lang) })
          : ""}
      </Typography>
      {rejected.length > 0 && (
        <Disclosure label={t("admin.rejected", { n: rejected.length })}>
          <Box
            component="ul"
            aria-label={t("admin.rejected", { n: rejected.length })}
            sx={{ listStyle: "none", m: 0, mt: 0.75, p: 0, border: 1, borderColor: "divider", borderRadius: "8px" }}
          >
            {rejected.map(({ key, need_bytes: need, reason }) => (
              <Box
                component="li"
                key={key}
                sx={{
                  display: "grid",
                  columnGap: 2,
                  gridTemplateColumns: { xs: "minmax(0, 1fr) auto", md: "minmax(0, 1fr) 90px minmax(0, 3fr)" },
                  px: 1.5,
                  py: 0.75,
                  borderTop: 1,
                  borderColor: "divider",
                  "&:first-of-type": { borderTop: 0 },
                }}
              >
                <Typography variant="body2" sx={{ fontWeight: 650, overflowWrap: "anywhere" }}>
                  {key}
                </Typography>
                <Typography variant="body2" sx={{ textAlign: "right", fontVariantNumeric: "tabular-nums" }}>
                  {need ? formatBytes(need, lang) : ""}
                </Typography>
                <Typography
                  variant="body2"
                  color="textSecondary"
                  sx={{ gridColumn: { xs: "1 / -1", md: "auto" }, overflowWrap: "anywhere" }}
                >
                  <Linked text={reason ?? ""} />
                </Typography>
              </Box>
            ))}
          </Box>
        </Disclosure>
      )}
    </Box>
  );
}
