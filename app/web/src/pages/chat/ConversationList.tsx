import { Box, Button, IconButton, InputAdornment, LinearProgress, TextField, Typography } from "@mui/material";
import { Search, SquarePen, Trash2, X } from "lucide-react";
import { memo, useState } from "react";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ListFailed } from "../../components/ListFailed";
import { useI18n } from "../../i18n";
import { ageOf, type Age, type ConversationSummary } from "../../lib/chats";
import { ConversationMenu } from "./ConversationMenu";
import type { Chat } from "./useChat";

export function ConversationList({ chat, onPick }: { chat: Chat; onPick: () => void }) {
  const { t } = useI18n();
  const [clearing, setClearing] = useState(false);
  const { list } = chat;
  const pick = (id: string | null): void => {
    chat.open(id);
    onPick();
  };
  return (
    <Box sx={{ display: "flex", flexDirection: "column", height: "100%", minHeight: 0 }}>
      <Box sx={{ p: 1.5, pb: 1 }}>
        <Button
          fullWidth
          variant="outlined"
          startIcon={<SquarePen size={17} aria-hidden="true" />}
          onClick={() => pick(null)}
          sx={{ mb: 1.25 }}
        >
          {t("chat.new")}
        </Button>
        <TextField
          fullWidth
          size="small"
          type="search"
          value={list.query}
          placeholder={t("chat.searchShort")}
          onChange={(event) => list.search(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && list.search("")}
          slotProps={{
            htmlInput: { "aria-label": t("chat.search"), maxLength: 200 },
            input: {
              startAdornment: (
                <InputAdornment position="start">
                  <Search size={16} aria-hidden="true" />
                </InputAdornment>
              ),
              endAdornment: list.query ? (
                <IconButton size="small" aria-label={t("chat.searchClear")} onClick={() => list.search("")}>
                  <X size={15} aria-hidden="true" />
                </IconButton>
              ) : undefined,
            },
          }}
          sx={{ "& input::-webkit-search-cancel-button": { display: "none" } }}
        />
        <Box sx={{ height: 4, mt: 0.5 }}>
          {list.loading && <LinearProgress aria-label={t("common.loading")} sx={{ height: 3 }} />}
        </Box>
      </Box>
      <Box sx={{ flex: 1, minHeight: 0, overflowY: "auto", px: 1.5 }}>
        <ListFailed text={t("chat.listFailed")} error={list.error} onRetry={list.refresh} />
        {list.known && list.items.length === 0 && !list.loading && (
          <Typography variant="body2" color="textSecondary" sx={{ px: 1, py: 1 }}>
            {list.query.trim() ? t("chat.noneFound", { query: list.query.trim() }) : t("chat.none")}
          </Typography>
        )}
        {grouped(list.items).map(([age, items]) => (
          <Box component="section" key={age} aria-label={t(`chat.age.${age}`)}>
            <Typography variant="caption" color="textSecondary" sx={{ display: "block", px: 1.25, pt: 1, pb: 0.5 }}>
              {t(`chat.age.${age}`)}
            </Typography>
            <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
              {items.map((item) => (
                <Row key={item.id} chat={chat} item={item} current={chat.id === item.id} onPick={pick} />
              ))}
            </Box>
          </Box>
        ))}
        {list.more && (
          <Button fullWidth size="small" onClick={list.next} disabled={list.loading} sx={{ my: 1 }}>
            {t("chat.more")}
          </Button>
        )}
      </Box>
      {list.items.length > 0 && !list.query && (
        <Box sx={{ p: 1, borderTop: 1, borderColor: "divider" }}>
          <Button
            fullWidth
            size="small"
            color="inherit"
            disabled={chat.busy !== null}
            startIcon={<Trash2 size={15} aria-hidden="true" />}
            onClick={() => setClearing(true)}
            sx={{ color: "text.secondary" }}
          >
            {t("chat.deleteAll")}
          </Button>
        </Box>
      )}
      <ConfirmDialog
        open={clearing}
        title={t("chat.deleteAllTitle")}
        text={t("chat.deleteAllText")}
        action={t("chat.deleteAll")}
        work={chat.removeAll}
        onClose={() => setClearing(false)}
      />
    </Box>
  );
}

function grouped(items: readonly ConversationSummary[]): [Age, ConversationSummary[]][] {
  const now = new Date();
  const groups = new Map<Age, ConversationSummary[]>();
  for (const item of items) {
    const age = ageOf(item.updated_at, now);
    groups.set(age, [...(groups.get(age) ?? []), item]);
  }
  return [...groups];
}

interface RowProps {
  chat: Chat;
  item: ConversationSummary;
  current: boolean;
  onPick: (id: string) => void;
}

const Row = memo(
  function Row({ chat, item, current, onPick }: RowProps) {
    const { t } = useI18n();
    return (
      <Box
        component="li"
        sx={{
          display: "flex",
          alignItems: "center",
          borderRadius: "8px",
          bgcolor: current ? "frost.tint" : "transparent",
          contentVisibility: "auto",
          containIntrinsicSize: "auto 40px",
          "&:hover": { bgcolor: "frost.tint" },
        }}
      >
        <Box
          component="button"
          type="button"
          aria-current={current ? "true" : undefined}
          onClick={() => onPick(item.id)}
          sx={{
            all: "unset",
            cursor: "pointer",
            flex: 1,
            minWidth: 0,
            px: 1.25,
            py: 1,
            fontSize: "0.9rem",
            fontWeight: current ? 650 : 450,
            borderRadius: "8px",
            "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: -2 },
          }}
        >
          <Box
            component="span"
            sx={{ display: "block", overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}
          >
            {item.title || t("chat.untitled")}
          </Box>
          {item.excerpt && (
            <Box
              component="span"
              sx={{
                display: "-webkit-box",
                WebkitLineClamp: "2",
                WebkitBoxOrient: "vertical",
                overflow: "hidden",
                fontSize: "0.8rem",
                fontWeight: 400,
                color: "text.secondary",
                overflowWrap: "anywhere",
              }}
            >
              {item.excerpt}
            </Box>
          )}
        </Box>
        <ConversationMenu chat={chat} id={item.id} title={item.title} />
      </Box>
    );
  },
  // The rest of `chat` is only used when something is asked of it, and never changes; a token changes no row.
  (a, b) => a.item === b.item && a.current === b.current && (a.chat.busy === a.item.id) === (b.chat.busy === b.item.id),
);
