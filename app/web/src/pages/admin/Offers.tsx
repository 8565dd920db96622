import { Box, Typography } from "@mui/material";
import { Check, Sparkles } from "lucide-react";
import { Card } from "../../components/Card";
import { Linked } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { formatBytes, formatParameters } from "../../lib/format";
import { useAct } from "../../lib/hooks";
import { displayName, offersOf } from "../../lib/models";
import { errorText, type AdminService, type ModelInfo } from "../../lib/types";
import { ActionButton, languagesText, Progress, State } from "./ModelParts";
import { serviceTitle } from "./Services";
import { Terms } from "./Terms";
import { MOVING, type ModelAction } from "./states";

interface Props {
  services: AdminService[];
  hasToken: boolean;
  onAct: (service: string, key: string, action: ModelAction) => Promise<void>;
}

/** While only what ships with Frigo serves: the better models that fit this machine, one click each. */
export function Offers({ services, hasToken, onAct }: Props) {
  const { t } = useI18n();
  const offers = offersOf(services, hasToken);
  if (offers.length === 0) return null;
  return (
    <Card title={t("admin.offers")} icon={<Sparkles size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch" }}>
        {t("admin.offersHelp")}
      </Typography>
      {offers.map(({ service, fitting, unfit, closed }) => {
        const title = serviceTitle(service.name);
        return (
          <Box key={service.name} sx={{ mt: 2 }}>
            <Typography variant="h3" sx={{ mb: 1 }}>
              {title ? t(title) : service.name}
            </Typography>
            <Box
              component="ul"
              sx={{
                listStyle: "none",
                m: 0,
                p: 0,
                display: "grid",
                gap: 1.5,
                gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 250px), 1fr))",
              }}
            >
              {[...fitting, ...(unfit ? [unfit] : [])].map((model) => (
                <Tile key={model.key} model={model} onAct={(action) => onAct(service.name, model.key, action)} />
              ))}
              {closed && <Tile model={closed} closed onAct={(action) => onAct(service.name, closed.key, action)} />}
            </Box>
          </Box>
        );
      })}
    </Card>
  );
}

interface TileProps {
  model: ModelInfo;
  /** Its terms must be accepted, and the token given, before anything else. */
  closed?: boolean;
  onAct: (action: ModelAction) => Promise<void>;
}

function Tile({ model, closed = false, onAct }: TileProps) {
  const { t, lang } = useI18n();
  const { busy, problem, run } = useAct();
  const fits = model.fits !== false;
  const moving = MOVING.has(model.state);
  const need = model.need_bytes ? formatBytes(model.need_bytes, lang) : "";
  const facts = [formatParameters(model.parameters, lang), languagesText(t, model.languages), model.licence ?? ""];
  const refused = problem || errorText(model.error);
  const action = moving ? "cancel" : "load";
  return (
    <Box
      component="li"
      data-offer={model.key}
      sx={{
        display: "flex",
        flexDirection: "column",
        gap: 0.5,
        p: 1.75,
        minWidth: 0,
        borderRadius: "12px",
        border: "1px solid",
        borderStyle: fits ? "solid" : "dashed",
        borderColor: "divider",
        bgcolor: fits ? "frost.sunken" : "transparent",
      }}
    >
      <Typography sx={{ fontWeight: 700, overflowWrap: "anywhere" }}>{displayName(model)}</Typography>
      <Typography variant="body2" color="textSecondary">
        {facts.filter((fact) => fact && fact !== "–").join(" · ")}
      </Typography>
      {need && (
        <Typography
          variant="body2"
          sx={{
            display: "flex",
            alignItems: "center",
            gap: 0.5,
            fontWeight: 650,
            color: fits ? "success.main" : "text.secondary",
          }}
        >
          {fits && <Check size={16} aria-hidden="true" />}
          {t(fits ? "admin.fits" : "admin.fitsNot", { need })}
        </Typography>
      )}
      {!fits && (
        <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: "anywhere" }}>
          <Linked text={model.reason ?? ""} />
        </Typography>
      )}
      {moving && (
        <Box>
          <State state={model.state} />
          <Progress model={model} label={displayName(model)} />
        </Box>
      )}
      {refused && (
        <Typography variant="body2" color="error" role="alert" sx={{ overflowWrap: "anywhere" }}>
          <Linked text={refused} />
        </Typography>
      )}
      <Box sx={{ mt: "auto", pt: 0.75 }}>
        {closed && <Terms hubId={model.hub_id ?? model.key} />}
        {!closed && model.state !== "unloading" && (
          <ActionButton
            action={action}
            model={model}
            busy={busy}
            main
            onClick={() => void run(action, () => onAct(action))}
          />
        )}
      </Box>
    </Box>
  );
}
