import { Button, IconButton, Tooltip } from "@mui/material";
import { Check, Copy } from "lucide-react";
import { useI18n } from "../i18n";
import { useCopy } from "../lib/hooks";

/** Copies `text`; says so. An icon only with `small`. */
export function CopyButton({ text, label, small = false }: { text: string; label?: string; small?: boolean }) {
  const { t } = useI18n();
  const { copied, copy } = useCopy();
  const name = label ?? t("common.copy");
  const icon = copied ? <Check size={16} aria-hidden="true" /> : <Copy size={16} aria-hidden="true" />;
  const said = copied ? t("common.copied") : name;
  if (small) {
    return (
      <Tooltip title={said}>
        <IconButton size="small" aria-label={said} onClick={() => copy(text)}>
          {icon}
        </IconButton>
      </Tooltip>
    );
  }
  return (
    <Button size="small" startIcon={icon} onClick={() => copy(text)}>
      {said}
    </Button>
  );
}
