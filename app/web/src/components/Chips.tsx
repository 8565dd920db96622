import { Chip } from "@mui/material";
import { Ban, Check, Clock, Loader, TriangleAlert } from "lucide-react";
import { useI18n } from "../i18n";
import type { MeetingState } from "../lib/types";

const LOOK = {
  queued: { colour: "default", icon: Clock },
  running: { colour: "primary", icon: Loader },
  done: { colour: "success", icon: Check },
  failed: { colour: "error", icon: TriangleAlert },
  cancelled: { colour: "default", icon: Ban },
} as const;

export function StateChip({ state }: { state: MeetingState }) {
  const { t } = useI18n();
  const look = LOOK[state] ?? LOOK.queued;
  const Icon = look.icon;
  return (
    <Chip
      size="small"
      variant="outlined"
      color={look.colour}
      label={t(`state.${state}`)}
      icon={<Icon size={14} aria-hidden="true" style={{ marginLeft: 7 }} />}
    />
  );
}

export function SyntheticChip() {
  const { t } = useI18n();
  return <Chip size="small" label={t("meetings.synthetic")} sx={{ bgcolor: "frost.tint", color: "frost.doorText" }} />;
}
