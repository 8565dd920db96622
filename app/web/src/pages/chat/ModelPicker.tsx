import { MenuItem, TextField } from "@mui/material";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { authorization } from "../../lib/completion";
import { usePolling } from "../../lib/hooks";
import type { ChatModel } from "../../lib/types";

const REFRESH = 30_000;
const FAILED = 4000;

/** The models that /v1 offers; « Automatique » lets the server use what is ready. */
export function ModelPicker({
  apiKey,
  value,
  onChange,
}: {
  apiKey: string | null;
  value: string;
  onChange: (model: string) => void;
}) {
  const { t } = useI18n();
  const { data } = usePolling(
    async (signal) =>
      (await request<{ data: ChatModel[] }>("/v1/models", { signal, headers: authorization(apiKey) })).data,
    (_, error) => (error ? FAILED : REFRESH),
    [apiKey],
  );
  const models = (data ?? []).filter(({ id }) => id !== "default");
  const known = value === "default" || models.some(({ id }) => id === value);
  return (
    <TextField
      select
      variant="outlined"
      value={known || !data ? value : "default"}
      onChange={(event) => onChange(event.target.value)}
      sx={{ flex: { xs: 1, sm: "none" }, minWidth: 0, width: { sm: 200 } }}
      slotProps={{
        htmlInput: { "aria-label": t("chat.model") },
        select: {
          SelectDisplayProps: { "aria-label": t("chat.model") },
          renderValue: (v) => (v === "default" ? t("chat.modelAuto") : String(v)),
        },
      }}
    >
      <MenuItem value="default">{t("chat.modelAuto")}</MenuItem>
      {!known && !data && <MenuItem value={value}>{value}</MenuItem>}
      {models.map((model) => (
        <MenuItem key={model.id} value={model.id}>
          {model.id}
          {model.embedded ? ` (${t("chat.embedded")})` : ""}
        </MenuItem>
      ))}
    </TextField>
  );
}
