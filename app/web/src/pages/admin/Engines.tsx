import { Box, Typography } from "@mui/material";
import { Disclosure } from "../../components/Disclosure";
import { Linked } from "../../components/Linked";
import { useI18n } from "../../i18n";
import type { EngineInfo } from "../../lib/types";

/** Which engines this service has, and how to add the others. */
export function Engines({ engines }: { engines: readonly EngineInfo[] }) {
  const { t } = useI18n();
  const absent = engines.filter((engine) => !engine.installed);
  const names = engines.filter((engine) => engine.installed).map((engine) => engine.name);
  return (
    <Box sx={{ mb: 1.5 }}>
      <Typography variant="body2">
        {t("admin.engines")} <strong>{names.join(", ") || t("admin.noEngine")}</strong>
      </Typography>
      {absent.length > 0 && (
        <Disclosure label={t("admin.otherEngines", { names: absent.map((engine) => engine.name).join(", ") })}>
          <Box component="ul" sx={{ m: 0, mt: 0.5, pl: 2.5 }}>
            {absent.map((engine) => (
              <Typography component="li" variant="body2" color="textSecondary" key={engine.name}>
                <Linked text={engine.reason ?? engine.name} />
              </Typography>
            ))}
          </Box>
        </Disclosure>
      )}
    </Box>
  );
}
