import { Box, Typography } from "@mui/material";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { Tool } from "../../components/Tool";
import { useI18n } from "../../i18n";
import type { ChatMessage } from "../../lib/chats";

interface Props {
  message: ChatMessage;
  versions: readonly ChatMessage[];
  disabled: boolean;
  onTurn: (message: ChatMessage) => void;
}

/** « ‹ 2/3 › »: the other messages that stand in the same place. */
export function Versions({ message, versions, disabled, onTurn }: Props) {
  const { t } = useI18n();
  const at = versions.findIndex(({ id }) => id === message.id);
  if (versions.length < 2 || at < 0) return null;
  const before = versions[at - 1];
  const after = versions[at + 1];
  return (
    <Box role="group" aria-label={t("chat.versions")} sx={{ display: "inline-flex", alignItems: "center" }}>
      <Tool label={t("chat.previous")} disabled={disabled || !before} onClick={() => before && onTurn(before)}>
        <ChevronLeft size={16} aria-hidden="true" />
      </Tool>
      <Typography
        variant="caption"
        color="textSecondary"
        aria-label={t("chat.version", { at: at + 1, of: versions.length })}
        sx={{ fontVariantNumeric: "tabular-nums" }}
      >
        {at + 1}/{versions.length}
      </Typography>
      <Tool label={t("chat.next")} disabled={disabled || !after} onClick={() => after && onTurn(after)}>
        <ChevronRight size={16} aria-hidden="true" />
      </Tool>
    </Box>
  );
}
