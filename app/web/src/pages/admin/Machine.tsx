import { Box, LinearProgress, Typography } from "@mui/material";
import { Thermometer } from "lucide-react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";
import { formatBytes, formatPercent } from "../../lib/format";
import type { SystemInfo } from "../../lib/types";

const HOT = 0.9;
const WARM = 0.75;

export function Machine({ system }: { system: SystemInfo }) {
  const { t, lang } = useI18n();
  const used = (part: { used: number; total: number }): string =>
    t("admin.of", { used: formatBytes(part.used, lang), total: formatBytes(part.total, lang) });
  return (
    <Card title={t("admin.system")} icon={<Thermometer size={20} aria-hidden="true" />}>
      <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 220px), 1fr))" }}>
        {typeof system.cpu_percent === "number" && (
          <Gauge
            label={t("admin.cpu")}
            ratio={system.cpu_percent / 100}
            detail={system.cpu_count ? t("admin.cores", { n: system.cpu_count }) : ""}
          />
        )}
        {system.memory && <Gauge label={t("admin.memory")} ratio={share(system.memory)} detail={used(system.memory)} />}
        {system.disk && <Gauge label={t("admin.disk")} ratio={share(system.disk)} detail={used(system.disk)} />}
        {(system.gpus ?? []).map((gpu, index) => (
          <Gauge
            key={`${gpu.name}-${index}`}
            label={gpu.name || t("admin.gpu")}
            ratio={gpu.memory_total ? (gpu.memory_used ?? 0) / gpu.memory_total : 0}
            detail={[
              gpu.memory_total ? used({ used: gpu.memory_used ?? 0, total: gpu.memory_total }) : "",
              typeof gpu.utilization === "number" ? formatPercent(gpu.utilization / 100, lang) : "",
              typeof gpu.temperature === "number" ? `${gpu.temperature}\u00a0°C` : "",
            ]
              .filter(Boolean)
              .join(" · ")}
          />
        ))}
      </Box>
      {(system.gpus ?? []).length === 0 && (
        <Typography variant="body2" color="textSecondary" sx={{ mt: 2 }}>
          {t("admin.noGpu")}
        </Typography>
      )}
    </Card>
  );
}

const share = ({ used, total }: { used: number; total: number }): number => (total > 0 ? used / total : 0);

function Gauge({ label, ratio, detail }: { label: string; ratio: number; detail: string }) {
  const { lang } = useI18n();
  const value = Math.min(1, Math.max(0, ratio));
  return (
    <Box>
      <Box sx={{ display: "flex", alignItems: "baseline", justifyContent: "space-between", gap: 1 }}>
        <Typography variant="body2" sx={{ fontWeight: 650 }}>
          {label}
        </Typography>
        <Typography variant="h3" component="span" sx={{ fontVariantNumeric: "tabular-nums" }}>
          {formatPercent(value, lang)}
        </Typography>
      </Box>
      <LinearProgress
        aria-label={label}
        variant="determinate"
        value={value * 100}
        color={value >= HOT ? "error" : value >= WARM ? "warning" : "primary"}
        sx={{ height: 9, borderRadius: 5, my: 0.75 }}
      />
      <Typography variant="body2" color="textSecondary">
        {detail}
      </Typography>
    </Box>
  );
}
