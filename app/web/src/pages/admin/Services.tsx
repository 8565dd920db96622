import { Box, Typography } from "@mui/material";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { formatNumber } from "../../lib/format";
import { absentReplicas } from "./replicas";
import type { AdminService } from "../../lib/types";

const KNOWN = new Set(["app", "chat", "gpt", "asr", "diarize"]);

export const serviceTitle = (name: string): Key | null => (KNOWN.has(name) ? (`admin.service.${name}` as Key) : null);

/** The five compartments, each with its light. app may leave itself out: it answered, so it is up. */
export function Services({ services: others }: { services: AdminService[] }) {
  const { t, lang } = useI18n();
  const services = others.some(({ name }) => name === "app") ? others : [{ name: "app", state: "up" }, ...others];
  return (
    <Box
      component="ul"
      aria-label={t("admin.services")}
      sx={{
        listStyle: "none",
        m: 0,
        p: 0,
        display: "grid",
        gap: 1.5,
        gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 150px), 1fr))",
      }}
    >
      {services.map((service) => {
        const up = service.state !== "down";
        const title = serviceTitle(service.name);
        return (
          <Box
            component="li"
            key={service.name}
            sx={{
              bgcolor: "background.paper",
              border: 1,
              borderColor: up ? "divider" : "error.main",
              borderRadius: "14px",
              p: 1.75,
              minWidth: 0,
            }}
          >
            <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", columnGap: 1 }}>
              <Box
                aria-hidden="true"
                sx={{
                  width: 11,
                  height: 11,
                  flex: "none",
                  borderRadius: up ? "50%" : "2px",
                  bgcolor: up ? "success.main" : "error.main",
                  boxShadow: (theme) =>
                    up
                      ? `0 0 0 4px color-mix(in srgb, ${theme.vars?.palette.success.main ?? "green"} 20%, transparent)`
                      : "none",
                }}
              />
              <Typography variant="h3" component="h2">
                {service.name}
              </Typography>
              <Typography
                variant="body2"
                sx={{ ml: "auto", color: up ? "success.main" : "error.main", fontWeight: 650 }}
              >
                {up ? t("admin.up") : t("admin.down")}
              </Typography>
            </Box>
            <Typography variant="body2" color="textSecondary" sx={{ mt: 0.75 }}>
              {title ? t(title) : ""}
            </Typography>
            <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: "anywhere" }}>
              {up
                ? [
                    typeof service.latency_ms === "number"
                      ? t("admin.latency", { ms: formatNumber(Math.round(service.latency_ms), lang) })
                      : "",
                    service.version ? t("admin.version", { version: service.version }) : "",
                  ]
                    .filter(Boolean)
                    .join(" · ")
                : service.error}
            </Typography>
            <Replicas service={service} />
          </Box>
        );
      })}
    </Box>
  );
}

/** How many of its replicas answer, and which do not. */
function Replicas({ service }: { service: AdminService }) {
  const { t } = useI18n();
  const total = (service.replicas ?? []).length;
  if (total < 2) return null;
  const absent = absentReplicas(service);
  return (
    <Typography variant="body2" color={absent.length > 0 ? "error" : "textSecondary"} sx={{ overflowWrap: "anywhere" }}>
      {t("admin.replicas", { n: total - absent.length, total })}
      {absent.length > 0 && service.state !== "down" && ` ${t("admin.replicasAbsent", { names: absent.join(", ") })}`}
    </Typography>
  );
}
