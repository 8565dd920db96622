import { Alert, Box, Button, LinearProgress, Typography } from "@mui/material";
import { Download, Play, PowerOff, X } from "lucide-react";
import { Linked } from "../../components/Linked";
import { useI18n, type Translate } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { formatBytes, formatPercent, formatRough } from "../../lib/format";
import { keptBytes } from "../../lib/models";
import type { ModelInfo, ModelReplica } from "../../lib/types";
import { hostOf } from "./replicas";
import { MOVING, type ModelAction } from "./states";

const STATES = new Set(["idle", "downloading", "downloaded", "loading", "ready", "unloading", "error"]);
const ICONS = { download: Download, load: Play, unload: PowerOff, cancel: X };
const LINE = "1.5em";
const MANY_LANGUAGES = 8;

export const stateKey = (state: string): Key | null => (STATES.has(state) ? (`admin.state.${state}` as Key) : null);

export const languagesText = (t: Translate, languages: readonly string[] = []): string =>
  languages.length > MANY_LANGUAGES ? t("admin.languages", { n: languages.length }) : languages.join(", ");

export function State({ state }: { state: string }) {
  const { t } = useI18n();
  const key = stateKey(state);
  const colour =
    state === "ready"
      ? "success.main"
      : state === "error"
        ? "error.main"
        : MOVING.has(state)
          ? "primary.main"
          : "text.primary";
  return (
    <Typography sx={{ fontWeight: 650, color: colour }} data-state={state}>
      {key ? t(key) : state}
    </Typography>
  );
}

/** Where it stands in each replica, when they differ: « gpt-b:5002 : prêt ». */
export function ReplicaStates({ name, replicas }: { name: string; replicas: ModelReplica[] | undefined }) {
  const { t } = useI18n();
  if (!replicas) return null;
  return (
    <Box component="ul" aria-label={t("admin.replicaStates", { model: name })} sx={{ m: 0, mt: 0.5, pl: 2 }}>
      {replicas.map(({ url, state }) => {
        const key = stateKey(state);
        return (
          <Typography component="li" variant="body2" key={url} sx={{ overflowWrap: "anywhere" }}>
            {t("admin.replicaState", { replica: hostOf(url), state: key ? t(key).toLocaleLowerCase() : state })}
          </Typography>
        );
      })}
    </Box>
  );
}

/** How far a download or a load is. Its lines keep their place while the figures change. */
export function Progress({ model, label }: { model: ModelInfo; label: string }) {
  const { t, lang } = useI18n();
  const total = model.state === "downloading" ? (model.bytes_total ?? 0) : 0;
  const ratio = total > 0 ? Math.min(1, (model.bytes_done ?? 0) / total) : null;
  const sizes =
    ratio === null
      ? ""
      : t("admin.progress", {
          done: formatBytes(model.bytes_done ?? 0, lang),
          total: formatBytes(total, lang),
        });
  const wait = typeof model.eta_seconds === "number" ? t("admin.eta", { wait: formatRough(model.eta_seconds) }) : "";
  const figures = { fontVariantNumeric: "tabular-nums", minHeight: LINE, lineHeight: LINE } as const;
  return (
    <Box>
      <LinearProgress
        aria-label={label}
        aria-valuetext={[sizes, wait].filter(Boolean).join(", ") || undefined}
        variant={ratio === null ? "indeterminate" : "determinate"}
        value={(ratio ?? 0) * 100}
        sx={{ my: 0.5 }}
      />
      <Typography variant="caption" component="p" color="textSecondary" sx={figures}>
        {sizes}
        {ratio !== null && ` · ${formatPercent(ratio, lang)}`}
      </Typography>
      <Typography variant="caption" component="p" color="textSecondary" sx={figures}>
        {wait}
      </Typography>
    </Box>
  );
}

/** What it takes: measured once it is loaded, estimated before. */
export function Memory({ model }: { model: ModelInfo }) {
  const { t, lang } = useI18n();
  const need = model.need_bytes ? formatBytes(model.need_bytes, lang) : "";
  if (model.state === "ready") {
    const measured = model.resident_bytes ? formatBytes(model.resident_bytes, lang) : "";
    return (
      <>
        {measured && <Typography variant="body2">{t("admin.resident", { size: measured })}</Typography>}
        {need && (
          <Typography variant="body2" color="textSecondary">
            {t("admin.estimate", { size: need })}
          </Typography>
        )}
      </>
    );
  }
  const misfit = model.fits === false;
  const kept = keptBytes(model);
  return (
    <>
      {(need || !misfit) && (
        <Typography variant="body2" color={misfit ? "error" : "textSecondary"}>
          {need ? t(misfit ? "admin.fitsNot" : "admin.fits", { need }) : t("admin.fitsUnknown")}
        </Typography>
      )}
      {kept > 0 && (
        <Typography variant="body2" color="textSecondary">
          {t("admin.kept", { size: formatBytes(kept, lang) })}
        </Typography>
      )}
    </>
  );
}

/** One thing to ask of a model. */
export function ActionButton({
  action,
  model,
  busy,
  main = false,
  onClick,
}: {
  action: ModelAction;
  model: ModelInfo;
  busy: string | null;
  main?: boolean;
  onClick: () => void;
}) {
  const { t } = useI18n();
  const Icon = ICONS[action];
  const label = action === "download" && keptBytes(model) > 0 ? t("admin.resume") : t(`admin.${action}`);
  const quiet = action === "unload" || action === "cancel";
  return (
    <Button
      size="small"
      variant={quiet ? "text" : main ? "contained" : "outlined"}
      color={quiet ? "inherit" : "primary"}
      startIcon={<Icon size={15} aria-hidden="true" />}
      loading={busy === action}
      loadingPosition="start"
      disabled={(busy !== null && busy !== action) || (!quiet && model.fits === false)}
      title={action === "cancel" && model.state === "downloading" ? t("admin.cancelHelp") : undefined}
      aria-label={t("admin.actionOn", { action: label, model: model.key })}
      onClick={onClick}
    >
      {label}
    </Button>
  );
}

/** The layout of a model's or an adapter's row: what it is, where it stands, what can be done. */
export const rowSx = {
  display: "grid",
  gap: 1,
  gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "minmax(0, 1fr) 230px 230px" },
  alignItems: "center",
  py: 1.5,
  borderTop: 1,
  borderColor: "divider",
  "&:first-of-type": { borderTop: 0 },
};

/** Why what a form asked for was refused, below it; nothing when it was not. */
export function Refusal({ text, onClose }: { text: string; onClose: () => void }) {
  if (!text) return null;
  return (
    <Alert severity="error" onClose={onClose} sx={{ mt: 1.5, overflowWrap: "anywhere" }}>
      <Linked text={text} />
    </Alert>
  );
}
