import { Box } from "@mui/material";
import { useI18n } from "../../../i18n";
import { formatDay, formatNumber } from "../../../lib/format";
import { totalOf, type Day, type KeyUse } from "../../../lib/keys";

const COLUMNS = [
  ["requests", "keys.requestsHead"],
  ["prompt_tokens", "keys.prompt"],
  ["completion_tokens", "keys.completion"],
  ["audio_seconds", "keys.audio"],
] as const;

/** The figures of the days on which there are some, the latest first, and their sum. */
export function UsageTable({ days }: { days: readonly Day[] }) {
  const { t, lang } = useI18n();
  const used = days.filter(({ requests }) => requests > 0).reverse();
  const cells = (use: KeyUse) =>
    COLUMNS.map(([field]) => <td key={field}>{formatNumber(Math.round(use[field] * 10) / 10, lang)}</td>);
  return (
    <Box tabIndex={0} role="region" aria-label={t("keys.usage")} sx={{ overflowX: "auto", mt: 1 }}>
      <Box
        component="table"
        sx={{
          borderCollapse: "collapse",
          fontSize: "0.85rem",
          fontVariantNumeric: "tabular-nums",
          "& th, & td": { textAlign: "right", px: 1.25, py: 0.5, borderBottom: 1, borderColor: "divider" },
          "& th:first-of-type": { textAlign: "left", whiteSpace: "nowrap", pl: 0 },
          "& tfoot th, & tfoot td": { fontWeight: 700, borderBottom: 0 },
        }}
      >
        <thead>
          <tr>
            <th scope="col">{t("keys.day")}</th>
            {COLUMNS.map(([field, name]) => (
              <th key={field} scope="col">
                {t(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {used.map((day) => (
            <tr key={day.day}>
              <th scope="row">{formatDay(day.day, lang)}</th>
              {cells(day)}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{t("keys.total")}</th>
            {cells(totalOf(used))}
          </tr>
        </tfoot>
      </Box>
    </Box>
  );
}
