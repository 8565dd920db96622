import { Alert, Box, Button, CircularProgress, Typography } from "@mui/material";
import { LogOut } from "lucide-react";
import { useState } from "react";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { messageOf, request, RequestError } from "../../lib/api";
import { usePolling, useTitle } from "../../lib/hooks";
import { readText, session, writeText } from "../../lib/storage";
import type { AdminStatus, ServiceStatus } from "../../lib/types";
import { Endpoints } from "./Endpoints";
import { HubToken } from "./HubToken";
import { Machine } from "./Machine";
import { ServiceModels } from "./ServiceModels";
import { Services } from "./Services";
import { TokenForm } from "./TokenForm";
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
  const [problem, setProblem] = useState("");
  const [pending, setPending] = useState<string | null>(null);
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
    setProblem("");
    setPending(`${service}/${key}`);
    try {
      await request(`/api/admin/models/${encodeURIComponent(key)}/${action}?service=${encodeURIComponent(service)}`, {
        method: "POST",
        headers,
      });
      refresh();
    } catch (reason) {
      setProblem(messageOf(reason));
    } finally {
      setPending(null);
    }
  };

  if (!data) {
    return error ? (
      <Alert severity="error">{error.message}</Alert>
    ) : (
      <Box sx={{ display: "grid", placeItems: "center", minHeight: 200 }}>
        <CircularProgress aria-label={t("common.loading")} />
      </Box>
    );
  }
  return (
    <Box sx={{ display: "grid", gap: 3 }}>
      {error && <Alert severity="warning">{error.message}</Alert>}
      <Services services={data.services} />
      <Machine system={data.system} />
      {problem && (
        <Alert severity="error" onClose={() => setProblem("")}>
          {problem}
        </Alert>
      )}
      {data.services
        .filter(({ models }) => models && models.length > 0)
        .map((service) => (
          <ServiceModels key={service.name} service={service} pending={pending} onAct={act} />
        ))}
      {typeof data.huggingface_token === "boolean" && (
        <HubToken known={data.huggingface_token} headers={headers} onChange={refresh} />
      )}
      {data.endpoints && data.endpoints.length > 0 && <Endpoints endpoints={data.endpoints} />}
    </Box>
  );
}

const moving = (status: AdminStatus | null): boolean =>
  (status?.services ?? []).some(({ models }) => (models ?? []).some(({ state }) => MOVING.has(state)));
