import { Box, Button, Chip, LinearProgress, Typography } from "@mui/material";
import { Box as Cube, Download, Play, PowerOff } from "lucide-react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { formatBytes, formatNumber, formatParameters, formatPercent } from "../../lib/format";
import { errorText, type AdminService, type ModelInfo } from "../../lib/types";
import { serviceTitle } from "./Services";
import { actionsFor, MOVING, type ModelAction } from "./states";

interface Props {
  service: AdminService;
  pending: string | null;
  onAct: (service: string, key: string, action: ModelAction) => Promise<void>;
}

const RANK: Record<string, number> = { ready: 0, loading: 1, unloading: 1, downloading: 2, downloaded: 3 };
const ICONS = { download: Download, load: Play, unload: PowerOff };

/** Models of one service: what serves first, then what fits here, then the rest. */
export function ServiceModels({ service, pending, onAct }: Props) {
  const { t } = useI18n();
  const models = [...(service.models ?? [])].sort(
    (a, b) => rank(a) - rank(b) || (a.parameters ?? 0) - (b.parameters ?? 0),
  );
  const title = serviceTitle(service.name);
  const { selection } = service;
  return (
    <Card title={title ? t(title) : service.name} icon={<Cube size={20} aria-hidden="true" />}>
      {selection?.chosen && (
        <Typography variant="body2" color="textSecondary" sx={{ mb: 1.5 }}>
          {selection.why
            ? t("admin.chosenWhy", { model: selection.chosen, why: selection.why })
            : t("admin.chosen", { model: selection.chosen })}
        </Typography>
      )}
      <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
        {models.map((model) => (
          <ModelRow
            key={model.key}
            model={model}
            pending={pending === `${service.name}/${model.key}`}
            onAct={(action) => onAct(service.name, model.key, action)}
          />
        ))}
      </Box>
    </Card>
  );
}

const rank = (model: ModelInfo): number => RANK[model.state] ?? (model.fits === false ? 6 : model.fits ? 4 : 5);

function ModelRow({
  model,
  pending,
  onAct,
}: {
  model: ModelInfo;
  pending: boolean;
  onAct: (action: ModelAction) => Promise<void>;
}) {
  const { t, lang } = useI18n();
  const facts = [
    formatParameters(model.parameters, lang),
    model.context ? t("admin.context", { n: formatNumber(model.context, lang) }) : "",
    (model.languages ?? []).join(", "),
    model.licence ?? "",
  ].filter((fact) => fact && fact !== "–");
  const moving = MOVING.has(model.state);
  const actions = model.embedded && model.state === "idle" ? (["load"] as ModelAction[]) : actionsFor(model.state);
  const problem = errorText(model.error);

  return (
    <Box
      component="li"
      data-model={model.key}
      sx={{
        display: "grid",
        gap: 1,
        gridTemplateColumns: { xs: "1fr", md: "minmax(0, 1fr) 190px auto" },
        alignItems: "center",
        py: 1.5,
        borderTop: 1,
        borderColor: "divider",
        "&:first-of-type": { borderTop: 0 },
      }}
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
        {model.note && <Typography variant="body2">{model.note}</Typography>}
        {model.hub_id && model.hub_id !== model.key && (
          <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: "anywhere" }}>
            {model.hub_id}
          </Typography>
        )}
      </Box>

      <Box>
        <State model={model} />
        {moving ? (
          <Progress model={model} />
        ) : (
          <Typography variant="body2" color={model.fits === false && model.need_bytes ? "error" : "textSecondary"}>
            {need(model)}
          </Typography>
        )}
      </Box>

      <Box
        sx={{ display: "flex", flexWrap: "wrap", gap: 0.75, justifyContent: { md: "flex-end" }, minWidth: { md: 220 } }}
      >
        {actions.map((action) => {
          const Icon = ICONS[action];
          const label = t(`admin.${action}`);
          return (
            <Button
              key={action}
              size="small"
              variant={action === "unload" ? "text" : "outlined"}
              color={action === "unload" ? "inherit" : "primary"}
              startIcon={<Icon size={15} aria-hidden="true" />}
              loading={pending}
              loadingPosition="start"
              disabled={action !== "unload" && model.fits === false}
              aria-label={t("admin.actionOn", { action: label, model: model.key })}
              onClick={() => void onAct(action)}
            >
              {label}
            </Button>
          );
        })}
      </Box>

      {(problem || (model.fits === false && model.reason)) && (
        <Typography variant="body2" color={problem ? "error" : "textSecondary"} sx={{ gridColumn: "1 / -1" }}>
          {problem || model.reason}
        </Typography>
      )}
    </Box>
  );

  function need(item: ModelInfo): string {
    if (!item.need_bytes) return item.fits === false ? "" : t("admin.fitsUnknown");
    const size = formatBytes(item.need_bytes, lang);
    if (item.state === "ready") return size;
    return t(item.fits === false ? "admin.fitsNot" : "admin.fits", { need: size });
  }
}

function State({ model }: { model: ModelInfo }) {
  const { t } = useI18n();
  const known = ["idle", "downloading", "downloaded", "loading", "ready", "unloading", "error"].includes(model.state);
  const text = known ? t(`admin.state.${model.state}` as Key) : model.state;
  const colour =
    model.state === "ready"
      ? "success.main"
      : model.state === "error"
        ? "error.main"
        : MOVING.has(model.state)
          ? "primary.main"
          : "text.primary";
  return (
    <Typography sx={{ fontWeight: 650, color: colour }} data-state={model.state}>
      {text}
    </Typography>
  );
}

function Progress({ model }: { model: ModelInfo }) {
  const { t, lang } = useI18n();
  const ratio = model.progress ?? (model.bytes_total ? (model.bytes_done ?? 0) / model.bytes_total : null);
  const known = ratio !== null && ratio > 0;
  return (
    <Box aria-live="polite">
      <LinearProgress
        aria-label={model.key}
        variant={known ? "determinate" : "indeterminate"}
        value={(ratio ?? 0) * 100}
        sx={{ my: 0.5 }}
      />
      {model.bytes_total ? (
        <Typography variant="caption" color="textSecondary">
          {t("admin.progress", {
            done: formatBytes(model.bytes_done ?? 0, lang),
            total: formatBytes(model.bytes_total, lang),
          })}
          {known && ` · ${formatPercent(ratio, lang)}`}
        </Typography>
      ) : null}
    </Box>
  );
}
