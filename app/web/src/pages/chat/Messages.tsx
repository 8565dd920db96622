import { Box, Button } from "@mui/material";
import { memo, useEffect, useState } from "react";
import { useI18n } from "../../i18n";
import type { ChatMessage } from "../../lib/chats";
import { MessageItem } from "./MessageItem";
import type { Chat } from "./useChat";

const AT_FIRST = 40;
const MORE = 100;
const NONE: readonly ChatMessage[] = [];
/** What is out of sight is not laid out. */
const FAR = { contentVisibility: "auto", containIntrinsicSize: "auto 160px" } as const;

interface Props extends Pick<Chat, "branch" | "versions"> {
  id: string;
  /** The last one is being written in this page. */
  growing: boolean;
  busy: boolean;
  titles: ReadonlyMap<string, string>;
  onEdit: (message: ChatMessage, text: string) => void;
  onTurn: (message: ChatMessage) => void;
  onAgain: (answer: ChatMessage) => void;
}

/** The branch that is read: its end, and more of it on demand, so that a talk of hundreds of messages opens at once. */
export const Messages = memo(function Messages({ id, branch, versions, growing, busy, titles, ...acts }: Props) {
  const { t } = useI18n();
  const [shown, setShown] = useState(AT_FIRST);
  useEffect(() => setShown(AT_FIRST), [id]);
  const hidden = Math.max(0, branch.length - shown);
  const last = branch.at(-1);
  return (
    <>
      {hidden > 0 && (
        <Box sx={{ textAlign: "center", mb: 2 }}>
          <Button size="small" onClick={() => setShown((n) => n + MORE)}>
            {t("chat.before", { n: hidden })}
          </Button>
        </Box>
      )}
      {branch.slice(hidden).map((message) => (
        <div key={message.id} style={message === last ? undefined : FAR}>
          <MessageItem
            message={message}
            versions={versions.get(message.id) ?? NONE}
            growing={growing && message === last}
            busy={busy}
            titles={titles}
            {...acts}
          />
        </div>
      ))}
    </>
  );
});
