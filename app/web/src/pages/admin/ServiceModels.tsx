import { Alert, Box, Typography } from "@mui/material";
import { Box as Cube } from "lucide-react";
import { useRef } from "react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";
import { stableOrder } from "../../lib/models";
import { differentDefaults } from "./replicas";
import type { AdminService } from "../../lib/types";
import { Engines } from "./Engines";
import { HubModel } from "./HubModel";
import { ModelRow } from "./ModelRow";
import { serviceTitle } from "./Services";
import type { ModelAction } from "./states";
import { Why } from "./Why";

/** Those that open models of the hub that no catalogue lists, with one as an example. */
const EXAMPLES: Record<string, string> = { gpt: "Qwen/Qwen2.5-0.5B-Instruct", asr: "openai/whisper-tiny" };

interface Props {
  service: AdminService;
  hasToken: boolean;
  onAct: (service: string, key: string, action: ModelAction) => Promise<void>;
}

/** Models of one service: what serves first, then what fits here, then the rest. */
export function ServiceModels({ service, hasToken, onAct }: Props) {
  const { t } = useI18n();
  const order = useRef<string[]>([]);
  const models = service.models ?? [];
  order.current = stableOrder(order.current, models);
  const byKey = new Map(models.map((model) => [model.key, model]));
  const title = serviceTitle(service.name);
  return (
    <Card title={title ? t(title) : service.name} icon={<Cube size={20} aria-hidden="true" />}>
      {service.engines && <Engines engines={service.engines} />}
      {service.selection && <Why selection={service.selection} models={models} />}
      <SeveralReplicas service={service} />
      <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
        {order.current.map((key) => {
          const model = byKey.get(key);
          return (
            model && (
              <ModelRow
                key={key}
                model={model}
                hasToken={hasToken}
                onAct={(name, action) => onAct(service.name, name, action)}
              />
            )
          );
        })}
      </Box>
      {EXAMPLES[service.name] && (
        <HubModel example={EXAMPLES[service.name] ?? ""} onLoad={(hubId) => onAct(service.name, hubId, "load")} />
      )}
    </Card>
  );
}

/** With several replicas: that each of them does what is asked; and the default of each, when it is not the same. */
function SeveralReplicas({ service }: { service: AdminService }) {
  const { t } = useI18n();
  const total = (service.replicas ?? []).length;
  if (total < 2) return null;
  const differing = differentDefaults(service);
  return (
    <>
      <Typography variant="body2" color="textSecondary" sx={{ mb: 1 }}>
        {t("admin.replicasAll", { n: total })}
      </Typography>
      {differing.length > 0 && (
        <Alert severity="warning" sx={{ mb: 1.5, overflowWrap: "anywhere" }}>
          {t("admin.replicasDiffer")}{" "}
          {differing.map(({ host, chosen }) => t("admin.replicaState", { replica: host, state: chosen })).join(", ")}
        </Alert>
      )}
    </>
  );
}
