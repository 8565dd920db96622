import { Box, Chip, IconButton, InputBase, Tooltip, Typography } from "@mui/material";
import { SendHorizontal, Square, Workflow } from "lucide-react";
import { useEffect, useRef } from "react";
import { useI18n } from "../../i18n";
import { ToolsButton } from "./ToolsButton";
import type { Tools } from "./useTools";

interface Props {
  tools: Tools;
  /** Put the caret here each time this changes. */
  focus: string;
  draft: string;
  onDraft: (text: string) => void;
  draw: boolean;
  onDraw: (draw: boolean) => void;
  busy: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}

/** Enter sends, Shift+Enter breaks the line, Escape stops. */
export function Composer({ tools, focus, draft, onDraft, draw, onDraw, busy, onSend, onStop }: Props) {
  const { t } = useI18n();
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (draw) input.current?.focus();
  }, [draw]);
  useEffect(() => {
    // A keyboard that slides over the page is only for who asked for it.
    if (window.matchMedia("(pointer: fine)").matches) input.current?.focus();
  }, [focus]);
  const send = (): void => {
    if (draft.trim() && !busy) onSend(draft);
  };
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      sx={{ px: { xs: 1.5, sm: 3 }, pb: { xs: 1.25, sm: 2.5 }, pt: 0.5 }}
    >
      <Box
        sx={{
          maxWidth: 800,
          mx: "auto",
          bgcolor: "background.paper",
          border: 1,
          borderColor: draw ? "primary.main" : "divider",
          borderRadius: "16px",
          p: 1,
          boxShadow: "0 2px 12px rgba(6,40,52,.07)",
          "&:focus-within": { borderColor: "primary.main" },
        }}
      >
        <InputBase
          inputRef={input}
          fullWidth
          multiline
          minRows={1}
          maxRows={8}
          value={draft}
          placeholder={draw ? t("chat.placeholderDraw") : t("chat.placeholder")}
          onChange={(event) => onDraft(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && busy) onStop();
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              send();
            }
          }}
          slotProps={{ input: { "aria-label": draw ? t("chat.placeholderDraw") : t("chat.placeholder") } }}
          sx={{ px: 1, py: 0.5 }}
        />
        <Box sx={{ display: "flex", alignItems: "center", gap: 1, mt: 0.5 }}>
          <Tooltip describeChild title={t("chat.drawHelp")}>
            <Chip
              component="button"
              type="button"
              aria-pressed={draw}
              icon={<Workflow size={16} aria-hidden="true" style={{ marginLeft: 9 }} />}
              aria-label={t("chat.draw")}
              label={
                <>
                  <Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>
                    {t("chat.draw")}
                  </Box>
                  <Box component="span" sx={{ display: { sm: "none" } }}>
                    {t("chat.drawShort")}
                  </Box>
                </>
              }
              color={draw ? "primary" : "default"}
              variant={draw ? "filled" : "outlined"}
              onClick={() => onDraw(!draw)}
            />
          </Tooltip>
          <ToolsButton tools={tools} />
          <Typography variant="caption" color="textSecondary" sx={{ display: { xs: "none", sm: "block" } }}>
            {draw ? t("chat.drawHelp") : t("chat.keyboard")}
          </Typography>
          <Box sx={{ ml: "auto" }}>
            {busy ? (
              <Tooltip title={t("chat.stop")}>
                <IconButton
                  aria-label={t("chat.stop")}
                  onClick={onStop}
                  sx={{ bgcolor: "error.main", color: "background.paper", "&:hover": { bgcolor: "error.dark" } }}
                >
                  <Square size={17} fill="currentColor" aria-hidden="true" />
                </IconButton>
              </Tooltip>
            ) : (
              <Tooltip title={t("chat.send")}>
                <span>
                  <IconButton
                    type="submit"
                    aria-label={t("chat.send")}
                    disabled={!draft.trim()}
                    sx={{
                      bgcolor: "primary.main",
                      color: "primary.contrastText",
                      "&:hover": { bgcolor: "primary.dark" },
                      "&.Mui-disabled": { bgcolor: "frost.tint" },
                    }}
                  >
                    <SendHorizontal size={18} aria-hidden="true" />
                  </IconButton>
                </span>
              </Tooltip>
            )}
          </Box>
        </Box>
      </Box>
    </Box>
  );
}
