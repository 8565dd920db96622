import { Alert, Box, Drawer, IconButton, Tooltip, Typography, useMediaQuery } from "@mui/material";
import { useTheme } from "@mui/material/styles";
import { Lock, LockOpen, Menu as MenuIcon, SquarePen } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { BOTTOM_BAR } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { useTitle } from "../../lib/hooks";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { EmptyChat } from "./EmptyChat";
import { KeyDialog } from "./KeyDialog";
import { MessageItem, Waiting } from "./MessageItem";
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
  const messages = chat.current?.messages ?? [];
  const last = messages.at(-1);
  const scroller = useFollow(messages.length, last?.content.length ?? 0, chat.current?.id ?? "");
  const Padlock = chat.apiKey ? Lock : LockOpen;

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
          sx={{ width: 264, flex: "none", borderRight: 1, borderColor: "divider", overflowY: "auto" }}
        >
          {list}
        </Box>
      ) : (
        <Drawer open={drawer} onClose={() => setDrawer(false)} slotProps={{ paper: { sx: { width: 288 } } }}>
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
            {messages.length === 0 ? (
              <EmptyChat
                onAsk={(text) => chat.send(text, false)}
                onDraw={(text) => {
                  setDraw(true);
                  setDraft(text);
                }}
              />
            ) : (
              messages.map((message) => (
                <MessageItem
                  key={message.id}
                  message={message}
                  growing={busyHere && message === last}
                  onRegenerate={
                    !chat.busy && message === last && message.role === "assistant" ? chat.regenerate : undefined
                  }
                />
              ))
            )}
            {busyHere && <Waiting message={last} wait={chat.wait} />}
            {chat.full && <Alert severity="warning">{t("chat.storageFull")}</Alert>}
          </Box>
        </Box>

        <Composer
          draft={draft}
          onDraft={setDraft}
          draw={draw}
          onDraw={setDraw}
          busy={chat.busy !== null}
          onStop={chat.stop}
          onSend={(text) => {
            chat.send(text, draw);
            setDraft("");
            setDraw(false);
          }}
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
          const again = chat.keyNeeded !== "no" && key !== null;
          setKeyOpen(false);
          chat.setKey(key);
          // The state has the new key at the next turn of the loop.
          if (again) setTimeout(chat.regenerate, 0);
        }}
      />
    </Box>
  );
}

/** Keeps the end in sight while it grows, unless the reader scrolled up. */
function useFollow(count: number, length: number, id: string) {
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
  }, [id, count]);
  useEffect(() => {
    const host = box.current;
    if (host && count > 0 && pinned.current) host.scrollTop = host.scrollHeight;
  }, [count, length, id]);
  return box;
}
