import { Box, Button, InputBase, Typography } from "@mui/material";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { CopyButton } from "../../components/CopyButton";
import { Tool } from "../../components/Tool";
import { useI18n } from "../../i18n";
import type { ChatMessage } from "../../lib/chats";
import { Versions } from "./Versions";

interface Props {
  message: ChatMessage;
  versions: readonly ChatMessage[];
  busy: boolean;
  onEdit: (message: ChatMessage, text: string) => void;
  onTurn: (message: ChatMessage) => void;
}

/** What a person wrote, which can be written otherwise. */
export function Question({ message, versions, busy, onEdit, onTurn }: Props) {
  const { t } = useI18n();
  const [draft, setDraft] = useState<string | null>(null);
  if (draft !== null) {
    const send = (): void => {
      if (!draft.trim() || busy) return;
      setDraft(null);
      onEdit(message, draft);
    };
    return (
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
        sx={{
          mb: 3,
          p: 1.5,
          border: 1,
          borderColor: "primary.main",
          borderRadius: "16px",
          bgcolor: "background.paper",
        }}
      >
        <InputBase
          autoFocus
          fullWidth
          multiline
          maxRows={14}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          onFocus={(event) => event.target.setSelectionRange(draft.length, draft.length)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setDraft(null);
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              send();
            }
          }}
          slotProps={{ input: { "aria-label": t("chat.editField") } }}
          sx={{ px: 0.5 }}
        />
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 1, mt: 1 }}>
          <Typography variant="caption" color="textSecondary" sx={{ flex: 1, minWidth: 180 }}>
            {t("chat.editHelp")}
          </Typography>
          <Button size="small" onClick={() => setDraft(null)}>
            {t("common.cancel")}
          </Button>
          <Button size="small" type="submit" variant="contained" disabled={!draft.trim() || busy}>
            {t("chat.editSend")}
          </Button>
        </Box>
      </Box>
    );
  }
  return (
    <Box
      component="article"
      aria-label={t("chat.you")}
      sx={{ display: "flex", flexDirection: "column", alignItems: "flex-end", mb: 2.5 }}
    >
      <Box
        sx={{
          maxWidth: "85%",
          bgcolor: "frost.tint",
          borderRadius: "16px 16px 4px 16px",
          px: 2,
          py: 1.25,
          whiteSpace: "pre-wrap",
          overflowWrap: "anywhere",
          lineHeight: 1.6,
        }}
      >
        {message.content}
      </Box>
      <Box className="actions" sx={{ display: "flex", alignItems: "center", mt: 0.25 }}>
        <CopyButton text={message.content} small />
        <Tool label={t("chat.editOf")} disabled={busy} onClick={() => setDraft(message.content)}>
          <Pencil size={15} aria-hidden="true" />
        </Tool>
        <Versions message={message} versions={versions} disabled={busy} onTurn={onTurn} />
      </Box>
    </Box>
  );
}
