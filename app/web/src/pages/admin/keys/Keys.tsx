import { Box, Button, Typography } from "@mui/material";
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { Card, Pending } from "../../../components/Card";
import { ConfirmDialog } from "../../../components/ConfirmDialog";
import { ListFailed } from "../../../components/ListFailed";
import { useI18n } from "../../../i18n";
import { request } from "../../../lib/api";
import { usePolling } from "../../../lib/hooks";
import { inOrder, KEYS, type ApiKey } from "../../../lib/keys";
import { KeyForm } from "./KeyForm";
import { KeyRow } from "./KeyRow";
import { UsageChart } from "./UsageChart";

const CALM = 10_000;

interface Props {
  headers: Record<string, string>;
  /** Names to offer where models are chosen. */
  models: readonly string[];
}

/** The API keys: who may call /v1, what for, and what they used. */
export function Keys({ headers, models }: Props) {
  const { t } = useI18n();
  const { data, error, refresh } = usePolling(
    async (signal) => inOrder((await request<{ keys: ApiKey[] }>(KEYS, { signal, headers })).keys),
    () => CALM,
    [headers["Authorization"]],
  );
  const [form, setForm] = useState<{ key: ApiKey | null } | null>(null);
  const [doomed, setDoomed] = useState<ApiKey | null>(null);
  const forgetting = doomed?.state === "revoked";

  return (
    <Card
      title={t("keys.title")}
      icon={<KeyRound size={20} aria-hidden="true" />}
      tools={
        <Button
          variant="outlined"
          size="small"
          startIcon={<Plus size={16} aria-hidden="true" />}
          disabled={!data}
          onClick={() => setForm({ key: null })}
        >
          {t("keys.make")}
        </Button>
      }
    >
      <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch", mb: 1.5 }}>
        {t("keys.help")}
      </Typography>
      <ListFailed text={t("keys.listFailed")} error={error} onRetry={refresh} />
      {!data && !error && <Pending>{t("common.loading")}</Pending>}
      {data?.length === 0 && (
        <Box
          data-testid="no-keys"
          sx={{ p: 1.75, borderRadius: "12px", border: "1px dashed", borderColor: "divider" }}
        >
          <Typography sx={{ fontWeight: 650 }}>{t("keys.empty")}</Typography>
          <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch" }}>
            {t("keys.emptyHelp")}
          </Typography>
        </Box>
      )}
      {data && data.length > 0 && (
        <>
          <Box component="ul" aria-label={t("keys.title")} sx={{ listStyle: "none", m: 0, p: 0 }}>
            {data.map((key) => (
              <KeyRow
                key={key.id}
                apiKey={key}
                onEdit={() => setForm({ key })}
                onRemove={() => setDoomed(key)}
              />
            ))}
          </Box>
          <UsageChart keys={data} headers={headers} />
        </>
      )}
      {form && (
        <KeyForm
          apiKey={form.key}
          models={models}
          headers={headers}
          onChange={refresh}
          onClose={() => setForm(null)}
        />
      )}
      <ConfirmDialog
        open={doomed !== null}
        title={t(forgetting ? "keys.forgetTitle" : "keys.revokeTitle")}
        text={t(forgetting ? "keys.forgetText" : "keys.revokeText", { name: doomed?.name ?? "" })}
        action={t(forgetting ? "keys.forget" : "keys.revoke")}
        work={() =>
          request(`${KEYS}/${encodeURIComponent(doomed?.id ?? "")}${forgetting ? "?forget=true" : ""}`, {
            method: "DELETE",
            headers,
          })
        }
        onClose={(done) => {
          setDoomed(null);
          if (done) refresh();
        }}
      />
    </Card>
  );
}
