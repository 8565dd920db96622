import { Box, Chip, Typography } from "@mui/material";
import { Linked, Outside } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { formatNumber, formatParameters } from "../../lib/format";
import { useAct } from "../../lib/hooks";
import { modelActions } from "./replicas";
import { errorText, type ModelInfo } from "../../lib/types";
import { hubPage } from "./hub";
import { ActionButton, languagesText, Memory, Progress, ReplicaStates, rowSx, State } from "./ModelParts";
import { Terms } from "./Terms";
import { MOVING, type ModelAction } from "./states";

/** One model of a service: what it is, where it stands, what can be asked of it. */
export function ModelRow({
  model,
  hasToken,
  onAct,
}: {
  model: ModelInfo;
  /** Whether the hub's token is known: gated models need it. */
  hasToken: boolean;
  onAct: (key: string, action: ModelAction) => Promise<void>;
}) {
  const { t, lang } = useI18n();
  const { busy, problem, run } = useAct();
  const facts = [
    formatParameters(model.parameters, lang),
    model.context ? t("admin.context", { n: formatNumber(model.context, lang) }) : "",
    languagesText(t, model.languages),
    model.licence ?? "",
  ].filter((fact) => fact && fact !== "–");
  const actions = modelActions(model);
  const refused = problem || errorText(model.error);
  const reason = model.fits === false ? model.reason : "";

  return (
    <Box
      component="li"
      data-model={model.key}
      sx={rowSx}
    >
      <Box sx={{ minWidth: 0 }}>
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 0.75 }}>
          <Typography sx={{ fontWeight: 700, overflowWrap: "anywhere" }}>{model.key}</Typography>
          {model.embedded && (
            <Chip size="small" label={t("admin.embedded")} sx={{ bgcolor: "frost.tint", color: "frost.doorText" }} />
          )}
          {model.gated && <Chip size="small" variant="outlined" label={t("admin.gated")} />}
        </Box>
        <Typography variant="body2" color="textSecondary">
          {facts.join(" · ")}
        </Typography>
        {model.note && <Typography variant="body2"><Linked text={model.note} /></Typography>}
        {model.gated && !hasToken && model.hub_id && <Terms hubId={model.hub_id} />}
        {model.hub_id && (!model.gated || hasToken) && (
          <Typography variant="body2" color="textSecondary">
            <Outside href={hubPage(model.hub_id)} text={model.hub_id} />
          </Typography>
        )}
      </Box>

      <Box>
        <State state={model.state} />
        {MOVING.has(model.state) ? <Progress model={model} label={model.key} /> : <Memory model={model} />}
        <Engine model={model} />
        <ReplicaStates name={model.key} replicas={model.replicas} />
      </Box>

      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 0.75, justifyContent: { md: "flex-end" } }}>
        {actions.map((action) => (
          <ActionButton
            key={action}
            action={action}
            model={model}
            busy={busy}
            onClick={() => void run(action, () => onAct(model.key, action))}
          />
        ))}
      </Box>

      {(refused || reason) && (
        <Typography
          variant="body2"
          role={problem ? "alert" : undefined}
          color={refused ? "error" : "textSecondary"}
          sx={{ gridColumn: "1 / -1", overflowWrap: "anywhere" }}
        >
          <Linked text={refused || reason || ""} />
        </Typography>
      )}
    </Box>
  );
}

/** What computes it, once it is loaded: « ctranslate2, int8 ». */
function Engine({ model }: { model: ModelInfo }) {
  const { t } = useI18n();
  if (model.state !== "ready" || !model.engine) return null;
  const precision = model.quantization === "none" ? t("admin.precision.none") : model.quantization;
  return (
    <Typography variant="body2" color="textSecondary">
      {[model.engine, precision].filter(Boolean).join(", ")}
    </Typography>
  );
}
