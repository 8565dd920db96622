import { Alert, Box, Button, Chip, MenuItem, TextField, Typography } from "@mui/material";
import { Layers, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Card, Pending } from "../../components/Card";
import { Linked } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { formatBytes } from "../../lib/format";
import { useAct, usePolling } from "../../lib/hooks";
import type { AdapterInfo, AdminService } from "../../lib/types";
import { Progress, Refusal, ReplicaStates, rowSx, State } from "./ModelParts";
import { raiseWarnings } from "./replicas";

const BUSY = 1000;
const CALM = 8000;
const PASSING = new Set(["downloading", "loading", "unloading"]);
const ON_DISK = new Set(["ready", "loading", "unloading", "downloaded"]);

interface Props {
  gpt: AdminService;
  headers: Record<string, string>;
}

/** LoRA adapters of the language models: small files that change how a model answers, added while it serves. */
export function Adapters({ gpt, headers }: Props) {
  const { t } = useI18n();
  const { data, error, refresh } = usePolling(
    async (signal) =>
      (await request<{ adapters: AdapterInfo[] }>("/api/admin/adapters", { signal, headers })).adapters,
    (adapters) => ((adapters ?? []).some(({ state }) => PASSING.has(state)) ? BUSY : CALM),
    [headers["Authorization"]],
  );
  return (
    <Card title={t("adapters.title")} icon={<Layers size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch" }}>
        {t("adapters.help")}
      </Typography>
      {!data && !error && <Pending>{t("common.loading")}</Pending>}
      {error && (
        <Alert severity="warning" sx={{ mt: 1.5 }}>
          {error.message}
        </Alert>
      )}
      {data?.length === 0 && (
        <Box
          data-testid="no-adapters"
          sx={{ mt: 1.5, p: 1.75, borderRadius: "12px", border: "1px dashed", borderColor: "divider" }}
        >
          <Typography sx={{ fontWeight: 650 }}>{t("adapters.empty")}</Typography>
          <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch" }}>
            {t("adapters.emptyHelp", { folder: "DATA_DIR/adapters", files: "adapter_config.json" })}
          </Typography>
        </Box>
      )}
      {data && data.length > 0 && (
        <Box component="ul" sx={{ listStyle: "none", m: 0, mt: 1, p: 0 }}>
          {data.map((adapter) => (
            <Row key={adapter.name} adapter={adapter} headers={headers} onChange={refresh} />
          ))}
        </Box>
      )}
      <AddForm gpt={gpt} headers={headers} onChange={refresh} />
    </Card>
  );
}

function Row({
  adapter,
  headers,
  onChange,
}: {
  adapter: AdapterInfo;
  headers: Record<string, string>;
  onChange: () => void;
}) {
  const { t, lang } = useI18n();
  const { busy, problem, run } = useAct();
  const facts = [
    t("adapters.of", { model: adapter.parent }),
    adapter.rank ? t("adapters.rank", { n: adapter.rank }) : "",
    adapter.bytes_total ? formatBytes(adapter.bytes_total, lang) : "",
    adapter.source ?? "",
  ];
  const remove = async (): Promise<void> => {
    const path = `/api/admin/adapters/${encodeURIComponent(adapter.name)}`;
    const answer = await request<{ warnings?: string[] }>(path, { method: "DELETE", headers });
    onChange();
    raiseWarnings(answer);
  };
  const refused = problem || adapter.error;
  return (
    <Box
      component="li"
      data-adapter={adapter.name}
      sx={rowSx}
    >
      <Box sx={{ minWidth: 0 }}>
        <Typography sx={{ fontWeight: 700, overflowWrap: "anywhere" }}>{adapter.name}</Typography>
        <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: "anywhere" }}>
          {facts.filter(Boolean).join(" · ")}
        </Typography>
      </Box>
      <Box>
        <State state={adapter.state} />
        {adapter.state === "downloading" && (
          <Progress model={{ ...adapter, rank: null, key: adapter.name }} label={adapter.name} />
        )}
        <ReplicaStates name={adapter.name} replicas={adapter.replicas} />
      </Box>
      <Box sx={{ display: "flex", justifyContent: { md: "flex-end" } }}>
        {adapter.origin === "variable" ? (
          <Chip size="small" variant="outlined" label="IA_ADAPTERS" />
        ) : (
          <Button
            size="small"
            color="inherit"
            startIcon={<Trash2 size={15} aria-hidden="true" />}
            loading={busy !== null}
            loadingPosition="start"
            disabled={adapter.state === "unloading"}
            aria-label={t("admin.actionOn", { action: t("adapters.remove"), model: adapter.name })}
            onClick={() => void run("remove", remove)}
          >
            {t("adapters.remove")}
          </Button>
        )}
      </Box>
      {refused && (
        <Typography
          variant="body2"
          color="error"
          role={problem ? "alert" : undefined}
          sx={{ gridColumn: "1 / -1", overflowWrap: "anywhere" }}
        >
          <Linked text={refused} />
        </Typography>
      )}
    </Box>
  );
}

function AddForm({ gpt, headers, onChange }: Props & { onChange: () => void }) {
  const { t } = useI18n();
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [parent, setParent] = useState("");
  const { busy, problem, run, forget } = useAct();
  const parents = (gpt.models ?? []).filter(({ state }) => ON_DISK.has(state));
  const chosen = parents.some(({ key }) => key === parent) ? parent : "";
  const whole = name.trim() !== "" && source.trim() !== "";
  const add = async (): Promise<void> => {
    const json = { name: name.trim(), source: source.trim(), ...(chosen ? { parent: chosen } : {}) };
    const answer = await request<{ warnings?: string[] }>("/api/admin/adapters", { method: "POST", headers, json });
    setName("");
    setSource("");
    onChange();
    raiseWarnings(answer);
  };
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (whole && !busy) void run("add", add);
      }}
      sx={{ borderTop: 1, borderColor: "divider", pt: 2, mt: 2 }}
    >
      <Box
        sx={{
          display: "grid",
          gap: 1.5,
          alignItems: "start",
          gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "1fr 1.6fr 1.2fr auto" },
        }}
      >
        <TextField
          label={t("adapters.name")}
          value={name}
          onChange={(event) => {
            setName(event.target.value);
            forget();
          }}
          slotProps={{ htmlInput: { maxLength: 64, autoCapitalize: "none", spellCheck: false } }}
        />
        <TextField
          label={t("adapters.source")}
          value={source}
          onChange={(event) => {
            setSource(event.target.value);
            forget();
          }}
          helperText={t("adapters.sourceHelp", { folder: "DATA_DIR/adapters" })}
          slotProps={{ htmlInput: { maxLength: 500, autoCapitalize: "none", spellCheck: false } }}
        />
        <TextField
          select
          label={t("adapters.parent")}
          value={chosen}
          onChange={(event) => setParent(event.target.value)}
          slotProps={{ select: { displayEmpty: true }, inputLabel: { shrink: true } }}
        >
          <MenuItem value="">{t("adapters.parentDefault", { model: gpt.selection?.chosen ?? "" })}</MenuItem>
          {parents.map(({ key }) => (
            <MenuItem key={key} value={key}>
              {key}
            </MenuItem>
          ))}
        </TextField>
        <Button
          type="submit"
          variant="outlined"
          startIcon={<Plus size={16} aria-hidden="true" />}
          loading={busy !== null}
          loadingPosition="start"
          disabled={!whole}
          sx={{ minHeight: 40, justifySelf: "start" }}
        >
          {t("adapters.add")}
        </Button>
      </Box>
      <Refusal text={problem} onClose={forget} />
    </Box>
  );
}
