import {
  Alert,
  Box,
  Button,
  CircularProgress,
  Drawer,
  IconButton,
  Tooltip,
  Typography,
  useMediaQuery,
} from "@mui/material";
import { useTheme } from "@mui/material/styles";
import { Lock, LockOpen, Menu as MenuIcon, SquarePen } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ListFailed } from "../../components/ListFailed";
import { BOTTOM_BAR } from "../../components/Shell";
import { useI18n } from "../../i18n";
import type { ChatMessage } from "../../lib/chats";
import { useTitle } from "../../lib/hooks";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { ConversationMenu } from "./ConversationMenu";
import { EmptyChat } from "./EmptyChat";
import { KeyDialog } from "./KeyDialog";
import { Waiting } from "./MessageItem";
import { Messages } from "./Messages";
import { ModelPicker } from "./ModelPicker";
import { useChat } from "./useChat";

export default function ChatPage() {
  const { t } = useI18n();
  const chat = useChat();
  const wide = useMediaQuery(useTheme().breakpoints.up("lg"));
  const [drawer, setDrawer] = useState(false);
  const [keyOpen, setKeyOpen] = useState(false);
  const [draft, setDraft] = useState("");
  const [draw, setDraw] = useState(false);
  useTitle(chat.current?.title || t("chat.title"));

  const busyHere = chat.busy !== null && chat.busy === chat.current?.id;
  const messages = chat.branch;
  const last = messages.at(-1);
  const length = (last?.content.length ?? 0) + (last?.reasoning_content?.length ?? 0) + (last?.tool_runs?.length ?? 0);
  const scroller = useFollow(last?.id ?? "", length, chat.current?.id ?? "");
  const titles = useMemo(() => new Map(chat.tools.all.map(({ name, title }) => [name, title])), [chat.tools.all]);
  const { regenerate } = chat;
  const asked = useRef(messages);
  asked.current = messages;
  const again = useCallback(
    (answer: ChatMessage) => regenerate(asked.current.find(({ id }) => id === answer.parent_id)),
    [regenerate],
  );
  const Padlock = chat.apiKey ? Lock : LockOpen;

  const ask = (text: string): void => {
    setDraft("");
    setDraw(false);
    void chat.send(text, draw).then((handed) => {
      if (handed) return;
      setDraft((typed) => typed || text);
      setDraw(draw);
    });
  };

  const list = <ConversationList chat={chat} onPick={() => setDrawer(false)} />;

  return (
    <Box
      sx={{
        display: "flex",
        minHeight: 0,
        flex: 1,
        height: { xs: `calc(100dvh - 56px - ${BOTTOM_BAR}px - var(--banner))`, md: "calc(100dvh - var(--banner))" },
        maxHeight: { xs: `calc(100dvh - 56px - ${BOTTOM_BAR}px - var(--banner))`, md: "calc(100dvh - var(--banner))" },
      }}
    >
      {wide ? (
        <Box
          component="aside"
          aria-label={t("chat.list")}
          sx={{ width: 280, flex: "none", borderRight: 1, borderColor: "divider" }}
        >
          {list}
        </Box>
      ) : (
        <Drawer
          open={drawer}
          onClose={() => setDrawer(false)}
          slotProps={{ paper: { "aria-label": t("chat.list"), sx: { width: 288 } } }}
        >
          {list}
        </Drawer>
      )}

      <Box sx={{ flex: 1, minWidth: 0, display: "flex", flexDirection: "column" }}>
        <Box
          sx={{
            display: "flex",
            alignItems: "center",
            gap: 1,
            px: { xs: 1, sm: 2.5 },
            py: 1,
            borderBottom: 1,
            borderColor: "divider",
          }}
        >
          {!wide && (
            <IconButton aria-label={t("chat.list")} onClick={() => setDrawer(true)}>
              <MenuIcon size={20} aria-hidden="true" />
            </IconButton>
          )}
          <Typography
            variant="h2"
            component="h1"
            noWrap
            sx={{ flex: { sm: 1 }, minWidth: 0, ...(wide ? {} : { width: { xs: 0, sm: "auto" } }) }}
          >
            {chat.current?.title || t("chat.title")}
          </Typography>
          {wide && chat.current && <ConversationMenu chat={chat} id={chat.current.id} title={chat.current.title} />}
          <ModelPicker apiKey={chat.apiKey} value={chat.model} onChange={chat.setModel} />
          <Tooltip title={chat.apiKey ? t("chat.keySet") : t("chat.key")}>
            <IconButton aria-label={t("chat.key")} onClick={() => setKeyOpen(true)}>
              <Padlock size={19} aria-hidden="true" />
            </IconButton>
          </Tooltip>
          {!wide && (
            <Tooltip title={t("chat.new")}>
              <IconButton aria-label={t("chat.new")} onClick={() => chat.open(null)}>
                <SquarePen size={19} aria-hidden="true" />
              </IconButton>
            </Tooltip>
          )}
        </Box>

        <Box
          ref={scroller}
          tabIndex={0}
          role="group"
          aria-label={t("chat.title")}
          sx={{ flex: 1, overflowY: "auto", px: { xs: 2, sm: 3 }, py: 3, "&:focus-visible": { outlineOffset: -2 } }}
        >
          <Box sx={{ maxWidth: 800, mx: "auto", minHeight: "100%" }}>
            <ListFailed text={t("chat.openFailed")} error={chat.problem} onRetry={chat.reload} />
            {chat.loading && (
              <Box sx={{ display: "grid", placeItems: "center", minHeight: 200 }}>
                <CircularProgress aria-label={t("common.loading")} />
              </Box>
            )}
            {messages.length === 0 && !chat.loading && !chat.problem && (
              <EmptyChat
                onAsk={ask}
                onDraw={(text) => {
                  setDraw(true);
                  setDraft(text);
                }}
              />
            )}
            <Messages
              id={chat.id ?? ""}
              branch={messages}
              versions={chat.versions}
              growing={busyHere}
              busy={chat.busy !== null}
              titles={titles}
              onEdit={chat.edit}
              onTurn={chat.turnTo}
              onAgain={again}
            />
            {busyHere && <Waiting message={last} wait={chat.wait} />}
            {last?.role === "user" && chat.busy === null && (
              <Alert
                severity="info"
                action={
                  <Button color="inherit" size="small" onClick={() => regenerate()}>
                    {t("chat.answerNow")}
                  </Button>
                }
              >
                {t("chat.unanswered")}
              </Alert>
            )}
          </Box>
        </Box>

        <Composer
          tools={chat.tools}
          focus={chat.id ?? ""}
          draft={draft}
          onDraft={setDraft}
          draw={draw}
          onDraw={setDraw}
          busy={chat.busy !== null}
          onStop={chat.stop}
          onSend={ask}
        />
      </Box>

      <KeyDialog
        open={keyOpen || chat.keyNeeded !== "no"}
        reason={chat.keyNeeded}
        current={chat.apiKey}
        onClose={() => {
          setKeyOpen(false);
          chat.dismissKey();
        }}
        onSave={(key) => {
          const retry = chat.keyNeeded !== "no" && key !== null;
          setKeyOpen(false);
          chat.setKey(key);
          // The state has the new key at the next turn of the loop.
          if (retry && chat.current) setTimeout(() => regenerate(), 0);
        }}
      />
    </Box>
  );
}

/** Keeps the end in sight while it grows, unless the reader scrolled up. */
function useFollow(last: string, length: number, id: string) {
  const box = useRef<HTMLDivElement>(null);
  const pinned = useRef(true);
  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const watch = (): void => {
      pinned.current = host.scrollHeight - host.scrollTop - host.clientHeight < 80;
    };
    host.addEventListener("scroll", watch, { passive: true });
    return () => host.removeEventListener("scroll", watch);
  }, []);
  useEffect(() => {
    pinned.current = true;
  }, [id, last]);
  useEffect(() => {
    const host = box.current;
    if (host && last && pinned.current) host.scrollTop = host.scrollHeight;
  }, [last, length, id]);
  return box;
}
