import { Box, ListSubheader, MenuItem, TextField } from "@mui/material";
import { useI18n } from "../../i18n";
import { languageName, otherLanguages, USUAL_LANGUAGES } from "../../lib/languages";
import { RANGE } from "../../lib/voices";

const MOST_EXACT = 10;
const MOST = 20;

export interface Details {
  title: string;
  /** ISO 639-1; empty: to be detected. */
  language: string;
  /** How many people: a number, RANGE, or empty: to be found. */
  count: string;
  least: string;
  most: string;
}

interface Props {
  value: Details;
  disabled: boolean;
  onChange: (change: Partial<Details>) => void;
}

/** What a person may say of a recording before it is sent: its title, its language, how many people speak. */
export function UploadFields({ value, disabled, onChange }: Props) {
  const { t, lang } = useI18n();
  const range = value.count === RANGE;
  const select = { inputLabel: { shrink: true }, select: { displayEmpty: true } };
  const people = (from: number, to: number) =>
    Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => (
      <MenuItem key={n} value={String(from + n)}>
        {t("meetings.speakersMany", { n: from + n })}
      </MenuItem>
    ));
  const least = Number(value.least) || 1;
  return (
    <Box
      sx={{ display: "grid", gap: 2, mt: 2.5, alignItems: "start", gridTemplateColumns: { xs: "1fr", sm: "1fr 1fr" } }}
    >
      <TextField
        label={t("meetings.fieldTitle")}
        value={value.title}
        onChange={(event) => onChange({ title: event.target.value })}
        disabled={disabled}
        sx={{ gridColumn: "1 / -1" }}
        slotProps={{ htmlInput: { maxLength: 200 } }}
      />
      <TextField
        select
        label={t("meetings.fieldLanguage")}
        value={value.language}
        onChange={(event) => onChange({ language: event.target.value })}
        disabled={disabled}
        helperText={t(value.language ? "meetings.languageHelp" : "meetings.languageAutoHelp")}
        slotProps={select}
      >
        <MenuItem value="">{t("meetings.languageAuto")}</MenuItem>
        {USUAL_LANGUAGES.map((code) => (
          <MenuItem key={code} value={code}>
            {languageName(code, lang)}
          </MenuItem>
        ))}
        <ListSubheader>{t("meetings.languageOthers")}</ListSubheader>
        {otherLanguages(lang).map(([code, name]) => (
          <MenuItem key={code} value={code}>
            {name}
          </MenuItem>
        ))}
      </TextField>
      <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "1fr 1fr" }}>
        <TextField
          select
          label={t("meetings.fieldSpeakers")}
          value={value.count}
          onChange={(event) => onChange({ count: event.target.value })}
          disabled={disabled}
          helperText={value.count === "" ? t("meetings.speakersAutoHelp") : undefined}
          sx={{ gridColumn: "1 / -1" }}
          slotProps={select}
        >
          <MenuItem value="">{t("meetings.speakersAuto")}</MenuItem>
          <MenuItem value={RANGE}>{t("meetings.speakersRange")}</MenuItem>
          {people(1, MOST_EXACT)}
        </TextField>
        {range && (
          <>
            <TextField
              select
              label={t("meetings.speakersMin")}
              value={value.least}
              onChange={(event) => {
                const low = Number(event.target.value);
                const high = Number(value.most);
                onChange({ least: event.target.value, ...(high && high < low ? { most: event.target.value } : {}) });
              }}
              disabled={disabled}
              slotProps={select}
            >
              {people(1, MOST)}
            </TextField>
            <TextField
              select
              label={t("meetings.speakersMax")}
              value={value.most}
              onChange={(event) => onChange({ most: event.target.value })}
              disabled={disabled}
              slotProps={select}
            >
              <MenuItem value="">{t("meetings.speakersNoMax")}</MenuItem>
              {people(least, MOST)}
            </TextField>
          </>
        )}
      </Box>
    </Box>
  );
}
