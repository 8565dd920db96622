import { Box, Button, IconButton, Tooltip } from "@mui/material";
import { SquarePen, Trash2 } from "lucide-react";
import { useI18n } from "../../i18n";
import type { Chat } from "./useChat";

export function ConversationList({ chat, onPick }: { chat: Chat; onPick: () => void }) {
  const { t } = useI18n();
  const pick = (id: string | null): void => {
    chat.open(id);
    onPick();
  };
  return (
    <Box sx={{ p: 1.5 }}>
      <Button
        fullWidth
        variant="outlined"
        startIcon={<SquarePen size={17} aria-hidden="true" />}
        onClick={() => pick(null)}
        sx={{ mb: 1.5 }}
      >
        {t("chat.new")}
      </Button>
      <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
        {chat.conversations.map(({ id, title }) => {
          const current = chat.current?.id === id;
          return (
            <Box
              key={id}
              component="li"
              sx={{
                display: "flex",
                alignItems: "center",
                borderRadius: "8px",
                bgcolor: current ? "frost.tint" : "transparent",
                "&:hover": { bgcolor: "frost.tint" },
              }}
            >
              <Box
                component="button"
                type="button"
                aria-current={current ? "true" : undefined}
                onClick={() => pick(id)}
                sx={{
                  all: "unset",
                  cursor: "pointer",
                  flex: 1,
                  minWidth: 0,
                  px: 1.25,
                  py: 1,
                  fontSize: "0.9rem",
                  fontWeight: current ? 650 : 450,
                  overflow: "hidden",
                  textOverflow: "ellipsis",
                  whiteSpace: "nowrap",
                  borderRadius: "8px",
                  "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: -2 },
                }}
              >
                {title || t("chat.untitled")}
              </Box>
              <Tooltip title={t("common.delete")}>
                <IconButton
                  size="small"
                  aria-label={t("chat.delete", { title })}
                  disabled={chat.busy === id}
                  onClick={() => chat.remove(id)}
                >
                  <Trash2 size={15} aria-hidden="true" />
                </IconButton>
              </Tooltip>
            </Box>
          );
        })}
      </Box>
    </Box>
  );
}
