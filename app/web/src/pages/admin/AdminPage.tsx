import { Alert, Box, Button, CircularProgress, Typography } from "@mui/material";
import { LogOut } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { request, RequestError } from "../../lib/api";
import { usePolling, useTitle } from "../../lib/hooks";
import { readText, session, writeText } from "../../lib/storage";
import type { AdminStatus, ServiceStatus } from "../../lib/types";
import { Adapters } from "./Adapters";
import { Endpoints } from "./Endpoints";
import { HubToken } from "./HubToken";
import { Machine } from "./Machine";
import { stateKey } from "./ModelParts";
import { Offers } from "./Offers";
import { ServiceModels } from "./ServiceModels";
import { Services } from "./Services";
import { TokenForm } from "./TokenForm";
import { Keys } from "./keys/Keys";
import { raiseWarnings } from "./replicas";
import { MOVING, type ModelAction } from "./states";

const STORE = "frigo.adminToken";
const BUSY = 1000;
const CALM = 5000;

export default function AdminPage() {
  const { t } = useI18n();
  useTitle(t("admin.title"));
  const [token, setToken] = useState<string | null>(() => readText(STORE, session));
  const [refused, setRefused] = useState(false);

  const keep = (next: string | null): void => {
    writeText(STORE, next, session);
    setToken(next);
  };

  return (
    <Page wide>
      <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "flex-start", gap: 1 }}>
        <Box sx={{ flex: 1, minWidth: 240 }}>
          <Typography variant="h1">{t("admin.title")}</Typography>
          <Typography color="textSecondary" sx={{ mt: 0.75, mb: 3 }}>
            {t("admin.lead")}
          </Typography>
        </Box>
        {token && (
          <Button size="small" startIcon={<LogOut size={16} aria-hidden="true" />} onClick={() => keep(null)}>
            {t("admin.tokenForget")}
          </Button>
        )}
      </Box>
      {token ? (
        <Inside
          token={token}
          onRefused={() => {
            setRefused(true);
            keep(null);
          }}
        />
      ) : (
        <Outside
          refused={refused}
          onToken={(next) => {
            setRefused(false);
            keep(next);
          }}
        />
      )}
    </Page>
  );
}

/** Without the token: only which services answer, and where the token is. */
function Outside({ refused, onToken }: { refused: boolean; onToken: (token: string) => void }) {
  const { t } = useI18n();
  const { data } = usePolling(
    (signal) => request<{ services: ServiceStatus[] }>("/api/status", { signal }),
    () => CALM,
    [],
  );
  return (
    <Box sx={{ display: "grid", gap: 3 }}>
      <TokenForm refused={refused} onToken={onToken} />
      <Box>
        {data && <Services services={data.services} />}
        <Typography variant="body2" color="textSecondary" sx={{ mt: 1.5 }}>
          {t("admin.publicOnly")}
        </Typography>
      </Box>
    </Box>
  );
}

function Inside({ token, onRefused }: { token: string; onRefused: () => void }) {
  const { t } = useI18n();
  const headers = { Authorization: `Bearer ${token}` };
  const { data, error, refresh } = usePolling(
    async (signal) => {
      try {
        return await request<AdminStatus>("/api/admin/status", { signal, headers });
      } catch (reason) {
        if (reason instanceof RequestError && (reason.status === 401 || reason.status === 403)) onRefused();
        throw reason;
      }
    },
    (status) => (moving(status) ? BUSY : CALM),
    [token],
  );

  const act = async (service: string, key: string, action: ModelAction): Promise<void> => {
    const path = key.split("/").map(encodeURIComponent).join("/");
    const url = `/api/admin/models/${path}/${action}?service=${encodeURIComponent(service)}`;
    const answer = await request<{ warnings?: string[] }>(url, { method: "POST", headers });
    refresh();
    raiseWarnings(answer);
  };
  const said = useAnnouncement(data);

  if (!data) {
    return error ? (
      <Alert severity="error">{error.message}</Alert>
    ) : (
      <Box sx={{ display: "grid", placeItems: "center", minHeight: 200 }}>
        <CircularProgress aria-label={t("common.loading")} />
      </Box>
    );
  }
  const gpt = data.services.find(({ name }) => name === "gpt");
  const gated = data.services.flatMap(({ models }) => (models ?? []).filter((model) => model.gated));
  const names = data.services
    .filter(({ name }) => name === "gpt" || name === "asr")
    .flatMap(({ models }) => (models ?? []).map(({ key }) => key));
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: "minmax(0, 1fr)", gap: 3 }}>
      {error && <Alert severity="warning">{error.message}</Alert>}
      <Box role="status" className="visually-hidden">
        {said}
      </Box>
      <Services services={data.services} />
      <Offers services={data.services} hasToken={data.huggingface_token === true} onAct={act} />
      <Machine system={data.system} />
      {data.services
        .filter(({ models }) => models && models.length > 0)
        .map((service) => (
          <ServiceModels
            key={service.name}
            service={service}
            hasToken={data.huggingface_token === true}
            onAct={act}
          />
        ))}
      {gpt && gpt.state !== "down" && <Adapters gpt={gpt} headers={headers} />}
      <Keys headers={headers} models={names} />
      {typeof data.huggingface_token === "boolean" && (
        <HubToken
          known={data.huggingface_token}
          told={data.huggingface_token_replicas ?? []}
          gated={gated}
          headers={headers}
          onChange={refresh}
        />
      )}
      {data.endpoints && data.endpoints.length > 0 && <Endpoints endpoints={data.endpoints} />}
    </Box>
  );
}

const moving = (status: AdminStatus | null): boolean =>
  (status?.services ?? []).some(({ models }) => (models ?? []).some(({ state }) => MOVING.has(state)));

/** The last change of a model's state, for who does not see the page: « gpt2 : prêt ». */
function useAnnouncement(status: AdminStatus | null): string {
  const { t } = useI18n();
  const before = useRef<Map<string, string> | null>(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!status) return;
    const states = new Map<string, string>();
    for (const { name, models } of status.services)
      for (const { key, state } of models ?? []) states.set(`${name} ${key}`, `${key} ${state}`);
    const changed = [...states].filter(([id, now]) => before.current?.has(id) && before.current.get(id) !== now);
    before.current = states;
    const texts = changed.map(([, now]) => {
      const [key = "", state = ""] = now.split(" ");
      const name = stateKey(state);
      return t("admin.announce", { model: key, state: name ? t(name).toLocaleLowerCase() : state });
    });
    if (texts.length > 0) setSaid(texts.join(", "));
  }, [status, t]);
  return said;
}
