import { Box, MenuItem, TextField, Typography } from "@mui/material";
import { useI18n } from "../../i18n";
import { API_KEY_STORE } from "../../lib/apiKey";
import { hasDirection, KIND_CHOICES, type Work } from "../../lib/drawing";
import { readText } from "../../lib/storage";
import { ModelPicker } from "../chat/ModelPicker";

const DIRECTIONS = ["", "TD", "LR"] as const;
const LANGUAGES = ["", "fr", "en"] as const;

/** How the source is drawn; what is left open is « automatic ». */
export function Options({ work, set }: { work: Work; set: (fields: Partial<Work>) => void }) {
  const { t } = useI18n();
  const directed = hasDirection(work.kind);
  const choice = <Value extends string>(
    field: "kind" | "direction" | "language",
    values: readonly Value[],
    name: (value: Value) => string,
    help = "",
  ) => (
    <TextField
      select
      label={t(`draw.${field}`)}
      value={work[field]}
      onChange={(event) => set({ [field]: event.target.value })}
      helperText={help}
      slotProps={{
        select: { displayEmpty: true, SelectDisplayProps: { "aria-label": t(`draw.${field}`) } },
        inputLabel: { shrink: true },
      }}
    >
      {values.map((value) => (
        <MenuItem key={value} value={value}>
          {name(value)}
        </MenuItem>
      ))}
    </TextField>
  );
  return (
    <Box
      sx={{
        display: "grid",
        gap: 1.5,
        alignItems: "start",
        gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 130px), 1fr))",
        mt: 2,
      }}
    >
      {choice("kind", KIND_CHOICES, (kind) => t(`draw.kind.${kind || "auto"}`))}
      {choice(
        "direction",
        DIRECTIONS,
        (direction) => t(`draw.direction.${direction || "auto"}`),
        work.direction && !directed ? t("draw.directionNone") : "",
      )}
      {choice("language", LANGUAGES, (language) => t(`draw.language.${language || "auto"}`))}
      <Box sx={{ display: "flex", "& > *": { flex: "1 !important", width: "auto !important" } }}>
        <ModelPicker apiKey={readText(API_KEY_STORE)} value={work.model} onChange={(model) => set({ model })} labelled />
      </Box>
      {work.kind !== "" && work.kind !== "flowchart" && (
        <Typography variant="caption" color="textSecondary" sx={{ gridColumn: "1 / -1", mt: -0.5 }}>
          {t("draw.kindMini")}
        </Typography>
      )}
    </Box>
  );
}
