import { Box, Typography } from "@mui/material";
import { Cable } from "lucide-react";
import { Card } from "../../components/Card";
import { CopyButton } from "../../components/CopyButton";
import { useI18n } from "../../i18n";
import type { AdminStatus } from "../../lib/types";
import { MONO } from "../../theme";

export function Endpoints({ endpoints }: { endpoints: NonNullable<AdminStatus["endpoints"]> }) {
  const { t } = useI18n();
  return (
    <Card title={t("admin.endpoints")} icon={<Cable size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ mb: 1 }}>
        {t("admin.endpointsHelp")}
      </Typography>
      <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
        {endpoints.map(({ method, path, description }) => (
          <Box
            component="li"
            key={`${method} ${path}`}
            sx={{
              display: "grid",
              columnGap: 1.5,
              gridTemplateColumns: { xs: "56px minmax(0, 1fr) auto", md: "56px minmax(0, 2fr) minmax(0, 3fr) auto" },
              alignItems: "center",
              py: 0.5,
              borderTop: 1,
              borderColor: "divider",
              "&:first-of-type": { borderTop: 0 },
            }}
          >
            <Typography sx={{ fontFamily: MONO, fontSize: "0.78rem", fontWeight: 700, color: "primary.main" }}>
              {method}
            </Typography>
            <Typography sx={{ fontFamily: MONO, fontSize: "0.82rem", overflowWrap: "anywhere" }}>{path}</Typography>
            <Typography
              variant="body2"
              color="textSecondary"
              sx={{ gridColumn: { xs: "2 / 3", md: "auto" }, gridRow: { xs: 2, md: "auto" } }}
            >
              {description}
            </Typography>
            <CopyButton text={`${location.origin}${path}`} small />
          </Box>
        ))}
      </Box>
    </Card>
  );
}
