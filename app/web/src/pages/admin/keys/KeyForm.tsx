import { Autocomplete, Box, Button, Dialog, DialogActions, DialogContent, DialogTitle, TextField } from "@mui/material";
import { useId, useState } from "react";
import { useI18n } from "../../../i18n";
import { request } from "../../../lib/api";
import { useAct } from "../../../lib/hooks";
import { bodyOf, changesOf, countFrom, dayHere, draftOf, KEYS, type ApiKey, type KeyDraft } from "../../../lib/keys";
import { Refusal } from "../ModelParts";
import { NewKey } from "./NewKey";

interface Props {
  /** The key to change; null makes one. */
  apiKey: ApiKey | null;
  models: readonly string[];
  headers: Record<string, string>;
  onChange: () => void;
  onClose: () => void;
}

/** The dialog in which a key is made (it is then shown, once) or its limits are changed. */
export function KeyForm({ apiKey, models, headers, onChange, onClose }: Props) {
  const { t } = useI18n();
  const title = useId();
  const [draft, setDraft] = useState<KeyDraft>(() => draftOf(apiKey));
  const [made, setMade] = useState<{ name: string; secret: string } | null>(null);
  const { busy, problem, run, forget } = useAct();
  const set = (fields: Partial<KeyDraft>): void => {
    setDraft((old) => ({ ...old, ...fields }));
    forget();
  };

  const counts = { perMinute: countFrom(draft.perMinute), perDay: countFrom(draft.perDay) };
  const untilChanged = draft.until !== draftOf(apiKey).until;
  const past = untilChanged && draft.until !== "" && draft.until < dayHere(new Date());
  const fine = draft.name.trim() !== "" && !past && Object.values(counts).every((count) => !Number.isNaN(count));

  const save = async (): Promise<void> => {
    if (apiKey) {
      const json = changesOf(apiKey, draft);
      const path = `${KEYS}/${encodeURIComponent(apiKey.id)}`;
      if (Object.keys(json).length > 0) await request(path, { method: "PATCH", headers, json });
      onChange();
      onClose();
      return;
    }
    const answer = await request<{ name: string; key: string }>(KEYS, { method: "POST", headers, json: bodyOf(draft) });
    setMade({ name: answer.name, secret: answer.key });
    onChange();
  };

  if (made) return <NewKey name={made.name} secret={made.secret} onClose={onClose} />;
  const limit = (field: "perMinute" | "perDay") => (
    <TextField
      label={t(`keys.${field}`)}
      value={draft[field]}
      onChange={(event) => set({ [field]: event.target.value })}
      error={Number.isNaN(counts[field])}
      helperText={t(Number.isNaN(counts[field]) ? "keys.notCount" : "keys.limitHelp")}
      slotProps={{ htmlInput: { inputMode: "numeric", maxLength: 20 } }}
    />
  );
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="sm" aria-labelledby={title}>
      <Box
        component="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (fine && !busy) void run("save", save);
        }}
      >
        <DialogTitle id={title}>{apiKey ? t("keys.editTitle", { name: apiKey.name }) : t("keys.makeTitle")}</DialogTitle>
        <DialogContent>
          <Box
            sx={{
              display: "grid",
              gap: 2,
              pt: 1,
              alignItems: "start",
              gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "1fr 1fr" },
              "& > :nth-of-type(1), & > :nth-of-type(2)": { gridColumn: "1 / -1" },
            }}
          >
            <TextField
              required
              autoFocus
              label={t("keys.name")}
              value={draft.name}
              onChange={(event) => set({ name: event.target.value })}
              helperText={t("keys.nameHelp")}
              slotProps={{ htmlInput: { maxLength: 200 } }}
            />
            <Autocomplete
              multiple
              freeSolo
              autoSelect
              size="small"
              options={models.filter((model) => !draft.models.includes(model))}
              value={draft.models}
              onChange={(_, chosen) => set({ models: [...new Set(chosen.map((name) => name.trim()).filter(Boolean))] })}
              renderInput={(parameters) => (
                <TextField {...parameters} label={t("keys.models")} helperText={t("keys.modelsHelp")} />
              )}
            />
            {limit("perMinute")}
            {limit("perDay")}
            <TextField
              type="date"
              label={t("keys.until")}
              value={draft.until}
              onChange={(event) => set({ until: event.target.value })}
              error={past}
              helperText={t(past ? "keys.untilPast" : "keys.untilHelp")}
              slotProps={{ inputLabel: { shrink: true }, htmlInput: { min: dayHere(new Date()) } }}
            />
          </Box>
          <Refusal text={problem} onClose={forget} />
        </DialogContent>
        <DialogActions>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" variant="contained" loading={busy !== null} disabled={!fine}>
            {t(apiKey ? "common.save" : "keys.make")}
          </Button>
        </DialogActions>
      </Box>
    </Dialog>
  );
}
