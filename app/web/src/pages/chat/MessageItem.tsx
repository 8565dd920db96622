import { Alert, Box, Button, LinearProgress, Tooltip, Typography } from "@mui/material";
import { RefreshCw } from "lucide-react";
import { memo } from "react";
import { CopyButton } from "../../components/CopyButton";
import { DiagramView } from "../../components/DiagramView";
import { Logo } from "../../components/Logo";
import { Markdown } from "../../components/Markdown";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import type { ChatMessage } from "../../lib/chats";
import type { Wait } from "../../lib/completion";
import { formatNumber } from "../../lib/format";
import { Reasoning, Runs } from "./AnswerParts";
import { Question } from "./Question";
import { Versions } from "./Versions";

interface Props {
  message: ChatMessage;
  versions: readonly ChatMessage[];
  /** It is being written in this page. */
  growing: boolean;
  /** An answer is being written: nothing else can be asked. */
  busy: boolean;
  /** Of the tools, by name. */
  titles: ReadonlyMap<string, string>;
  onEdit: (message: ChatMessage, text: string) => void;
  onTurn: (message: ChatMessage) => void;
  /** Answer the question before this answer again. */
  onAgain: (answer: ChatMessage) => void;
}

export const MessageItem = memo(function MessageItem(props: Props) {
  const { message, versions, growing, busy, titles, onEdit, onTurn, onAgain } = props;
  const { t } = useI18n();
  if (message.role === "user") return <Question {...{ message, versions, busy, onEdit, onTurn }} />;
  if (message.role === "system") return <Instructions text={message.content} />;
  const runs = message.tool_runs ?? [];
  const empty = message.content === "" && !message.diagram;
  if (empty && growing && runs.length === 0 && !message.reasoning_content) return null;
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
        {message.left_out ? <Note text={t("chat.leftOut", { n: message.left_out })} /> : null}
        {message.reasoning_content && <Reasoning text={message.reasoning_content} now={growing && empty} />}
        {runs.length > 0 && <Runs runs={runs} titles={titles} />}
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
        {message.state === "failed" && (
          <Alert severity="error" sx={{ mt: empty ? 0 : 1, overflowWrap: "anywhere" }}>
            {empty
              ? (message.error?.message ?? t("error.unexpected"))
              : t("chat.interrupted", { message: message.error?.message ?? "" })}
          </Alert>
        )}
        {message.state === "unfinished" && <Note text={t("chat.unfinished")} />}
        {message.state === "writing" && !growing && <Note text={t("chat.elsewhere")} />}
        {message.state === "done" && message.finish_reason === "length" && <Note text={t("chat.cut")} />}
        {!growing && <Footer {...{ message, versions, busy, onTurn, onAgain }} />}
      </Box>
    </Box>
  );
});

function Note({ text }: { text: string }) {
  return (
    <Typography variant="body2" color="textSecondary" sx={{ my: 0.5, fontStyle: "italic" }}>
      {text}
    </Typography>
  );
}

function Instructions({ text }: { text: string }) {
  return (
    <Typography
      variant="body2"
      color="textSecondary"
      sx={{ mb: 3, whiteSpace: "pre-wrap", overflowWrap: "anywhere", borderLeft: 3, borderColor: "divider", pl: 1.5 }}
    >
      {text}
    </Typography>
  );
}

function Footer({
  message,
  versions,
  busy,
  onTurn,
  onAgain,
}: Pick<Props, "message" | "versions" | "busy" | "onTurn" | "onAgain">) {
  const { t, lang } = useI18n();
  const { usage, asked_model: asked } = message;
  const other = message.model && asked && asked !== message.model;
  const model = other ? t("chat.insteadOf", { model: message.model ?? "", asked }) : message.model;
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 0.5, mt: 0.75, ml: -0.75 }}>
      {(message.content || message.diagram) && <CopyButton text={message.diagram?.mermaid ?? message.content} small />}
      <Versions message={message} versions={versions} disabled={busy} onTurn={onTurn} />
      {!busy && (
        <Button size="small" startIcon={<RefreshCw size={14} aria-hidden="true" />} onClick={() => onAgain(message)}>
          {t("chat.regenerate")}
        </Button>
      )}
      <Typography variant="caption" color="textSecondary" sx={{ ml: 0.5, overflowWrap: "anywhere" }}>
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
export function Waiting({ message, wait }: { message: ChatMessage | undefined; wait: Wait | null }) {
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
