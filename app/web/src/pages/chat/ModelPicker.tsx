import { Box, MenuItem, TextField } from "@mui/material";
import { useEffect } from "react";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { authorization } from "../../lib/completion";
import { usePolling } from "../../lib/hooks";
import { pickerItems, type PickerItem } from "../../lib/models";
import type { ChatModel } from "../../lib/types";

const REFRESH = 30_000;
const FAILED = 4000;

/** The models that /v1 offers, adapters under theirs; « Automatique » lets the server use what is ready. */
export function ModelPicker({
  apiKey,
  value,
  onChange,
  labelled = false,
}: {
  apiKey: string | null;
  value: string;
  onChange: (model: string) => void;
  /** With its name over it, in a form. */
  labelled?: boolean;
}) {
  const { t } = useI18n();
  const { data, refresh } = usePolling(
    async (signal) =>
      (await request<{ data: ChatModel[] }>("/v1/models", { signal, headers: authorization(apiKey) })).data,
    (_, error) => (error ? FAILED : REFRESH),
    [apiKey],
  );
  const items = pickerItems(data ?? []);
  const known = value === "default" || items.some(({ model }) => model.id === value);
  // A conversation may name a model that is gone.
  const gone = items.length > 0 && !known;
  useEffect(() => {
    if (gone) onChange("default");
  }, [gone, onChange]);
  return (
    <TextField
      select
      variant="outlined"
      label={labelled ? t("chat.model") : undefined}
      value={known || !data ? value : "default"}
      onChange={(event) => onChange(event.target.value)}
      sx={{ flex: { xs: 1, sm: "none" }, minWidth: 0, width: { sm: 200 } }}
      slotProps={{
        htmlInput: { "aria-label": t("chat.model") },
        select: {
          SelectDisplayProps: { "aria-label": t("chat.model") },
          renderValue: (v) => (v === "default" ? t("chat.modelAuto") : String(v)),
          onOpen: refresh,
          MenuProps: { slotProps: { paper: { sx: { maxWidth: "calc(100vw - 32px)" } } } },
        },
      }}
    >
      <MenuItem value="default">{t("chat.modelAuto")}</MenuItem>
      {!known && !data && <MenuItem value={value}>{value}</MenuItem>}
      {items.map((item) => (
        <MenuItem key={item.model.id} value={item.model.id} sx={{ whiteSpace: "normal", gap: 2 }}>
          <Choice item={item} />
        </MenuItem>
      ))}
    </TextField>
  );
}

function Choice({ item: { model, adapter } }: { item: PickerItem }) {
  const { t } = useI18n();
  const notes = [
    model.embedded ? t("chat.embedded") : "",
    adapter ? t("chat.adapterOf") : "",
    model.state ? t(model.state === "ready" ? "chat.ready" : "chat.willLoad") : "",
  ].filter(Boolean);
  return (
    <>
      <Box
        component="span"
        sx={{
          flex: 1,
          overflowWrap: "anywhere",
          ...(adapter ? { pl: 1.5, ml: 0.5, borderLeft: "2px solid", borderColor: "frost.shelf" } : {}),
        }}
      >
        {model.id}
      </Box>
      <Box
        component="span"
        sx={{ typography: "caption", color: model.state === "ready" ? "success.main" : "text.secondary" }}
      >
        {notes.join(" · ")}
      </Box>
    </>
  );
}
