import { Alert, Box, Button, LinearProgress, Tooltip, Typography } from "@mui/material";
import { RefreshCw } from "lucide-react";
import { memo } from "react";
import { CopyButton } from "../../components/CopyButton";
import { DiagramView } from "../../components/DiagramView";
import { Logo } from "../../components/Logo";
import { Markdown } from "../../components/Markdown";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import type { Message } from "../../lib/chats";
import type { Wait } from "../../lib/completion";
import { formatNumber } from "../../lib/format";

interface Props {
  message: Message;
  growing: boolean;
  onRegenerate: (() => void) | undefined;
}

export const MessageItem = memo(function MessageItem({ message, growing, onRegenerate }: Props) {
  const { t } = useI18n();
  if (message.role === "user") {
    return (
      <Box component="article" aria-label={t("chat.you")} sx={{ display: "flex", justifyContent: "flex-end", mb: 3 }}>
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
      </Box>
    );
  }
  const empty = message.content === "" && !message.diagram;
  if (empty && growing) return null;
  return (
    <Box
      component="article"
      aria-label={t("chat.answer", { model: message.model ?? "Frigo" })}
      aria-busy={growing}
      sx={{ display: "flex", gap: 1.5, mb: 3 }}
    >
      <Box sx={{ flex: "none", display: { xs: "none", sm: "block" } }}>
        <Logo size={30} />
      </Box>
      <Box sx={{ flex: 1, minWidth: 0 }}>
        {message.content && <Markdown text={message.content} growing={growing} />}
        {message.diagram && (
          <Box sx={{ mt: 1.5 }}>
            <DiagramView code={message.diagram.mermaid} graph={message.diagram.graph ?? null} />
            {(message.diagram.warnings ?? []).map((warning) => (
              <Alert key={warning} severity="warning" sx={{ mt: 1 }}>
                {warning}
              </Alert>
            ))}
          </Box>
        )}
        {message.end === "error" && (
          <Alert severity="error" sx={{ mt: empty ? 0 : 1 }}>
            {empty ? message.error : t("chat.interrupted", { message: message.error ?? "" })}
          </Alert>
        )}
        {message.end === "stopped" && (
          <Typography variant="body2" color="textSecondary" sx={{ mt: 0.5, fontStyle: "italic" }}>
            {t("chat.stopped")}
          </Typography>
        )}
        {!growing && <Footer message={message} onRegenerate={onRegenerate} />}
      </Box>
    </Box>
  );
});

function Footer({ message, onRegenerate }: { message: Message; onRegenerate: (() => void) | undefined }) {
  const { t, lang } = useI18n();
  const { usage, asked } = message;
  const other = message.model && asked && asked !== message.model;
  const model = other ? t("chat.insteadOf", { model: message.model ?? "", asked }) : message.model;
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 0.5, mt: 0.75, ml: -0.75 }}>
      {(message.content || message.diagram) && <CopyButton text={message.diagram?.mermaid ?? message.content} small />}
      {onRegenerate && (
        <Button size="small" startIcon={<RefreshCw size={14} aria-hidden="true" />} onClick={onRegenerate}>
          {t("chat.regenerate")}
        </Button>
      )}
      <Typography variant="caption" color="textSecondary" sx={{ ml: 0.5 }}>
        {model}
        {model && usage && " · "}
        {usage && (
          <Tooltip describeChild title={t("chat.usageHelp")}>
            <span>
              {t("chat.usage", {
                total: formatNumber(usage.total_tokens, lang),
                prompt: formatNumber(usage.prompt_tokens, lang),
                completion: formatNumber(usage.completion_tokens, lang),
              })}
            </span>
          </Tooltip>
        )}
      </Typography>
    </Box>
  );
}

/** What is going on before the first word: thinking, drawing, or waiting for a model or a service. */
export function Waiting({ message, wait }: { message: Message | undefined; wait: Wait | null }) {
  const { t } = useI18n();
  const silent = message?.role === "assistant" && message.content === "" && !message.diagram;
  if (!silent) return null;
  let text = message.tool === "draw" ? t("chat.drawing") : t("chat.thinking");
  if (wait?.reason === "service") text = t("chat.waitService", { service: wait.name, seconds: wait.seconds });
  if (wait?.reason === "model") {
    const known = ["idle", "downloading", "downloaded", "loading", "unloading", "error"].includes(wait.state);
    const state = known ? t(`admin.state.${wait.state}` as Key).toLocaleLowerCase() : wait.state;
    text = t("chat.waitModel", { model: wait.name, state, seconds: wait.seconds });
  }
  return (
    <Box sx={{ display: "flex", gap: 1.5, alignItems: "center", mb: 3 }}>
      <Logo size={30} />
      <Box sx={{ flex: 1, maxWidth: 420 }}>
        <Typography color="textSecondary" role="status" aria-live="polite">
          {text}
        </Typography>
        <LinearProgress
          aria-label={text}
          variant={wait?.progress ? "determinate" : "indeterminate"}
          value={(wait?.progress ?? 0) * 100}
          sx={{ mt: 0.75, height: 4 }}
        />
      </Box>
    </Box>
  );
}
