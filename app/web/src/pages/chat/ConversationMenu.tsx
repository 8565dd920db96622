import {
  Alert,
  Box,
  Button,
  Dialog,
  DialogActions,
  DialogContent,
  DialogTitle,
  IconButton,
  ListItemIcon,
  ListItemText,
  Menu,
  MenuItem,
  TextField,
} from "@mui/material";
import { Braces, Ellipsis, FileText, Pencil, Trash2 } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { useI18n } from "../../i18n";
import { messageOf } from "../../lib/api";
import { saveText } from "../../lib/download";
import { useAct } from "../../lib/hooks";
import type { Chat } from "./useChat";

interface Props {
  chat: Chat;
  id: string;
  title: string;
}

/** What can be done with a conversation: rename, export, delete. */
export function ConversationMenu({ chat, id, title }: Props) {
  const { t } = useI18n();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const [asked, setAsked] = useState<"rename" | "delete" | null>(null);
  const [problem, setProblem] = useState("");
  const name = title || t("chat.untitled");
  const act = (work: () => void) => () => {
    setAnchor(null);
    work();
  };
  const save = (kind: "md" | "json", type: string): void => {
    chat.file(id, kind).then(
      (text) => saveText(text, `${name}.${kind}`, type),
      (error: unknown) => setProblem(t("chat.exportFailed", { message: messageOf(error) })),
    );
  };
  return (
    <>
      <IconButton
        size="small"
        aria-label={t("chat.menuOf", { title: name })}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <Ellipsis size={16} aria-hidden="true" />
      </IconButton>
      <Menu open={anchor !== null} anchorEl={anchor} onClose={() => setAnchor(null)}>
        <Item icon={Pencil} text={t("chat.rename")} onClick={act(() => setAsked("rename"))} />
        <Item icon={FileText} text={t("chat.exportMd")} onClick={act(() => save("md", "text/markdown"))} />
        <Item icon={Braces} text={t("chat.exportJson")} onClick={act(() => save("json", "application/json"))} />
        <Item
          icon={Trash2}
          text={t("common.delete")}
          disabled={chat.busy === id}
          onClick={act(() => setAsked("delete"))}
        />
      </Menu>
      <RenameDialog
        open={asked === "rename"}
        title={title}
        onSave={(next) => chat.rename(id, next)}
        onClose={() => setAsked(null)}
      />
      <ConfirmDialog
        open={asked === "delete"}
        title={t("chat.deleteTitle")}
        text={t("chat.deleteText", { title: name })}
        action={t("common.delete")}
        work={() => chat.remove(id)}
        onClose={() => setAsked(null)}
      />
      <Dialog open={problem !== ""} onClose={() => setProblem("")}>
        <Alert severity="error" onClose={() => setProblem("")}>
          {problem}
        </Alert>
      </Dialog>
    </>
  );
}

function Item({
  icon: Icon,
  text,
  disabled = false,
  onClick,
}: {
  icon: typeof Pencil;
  text: string;
  disabled?: boolean;
  onClick: () => void;
}) {
  return (
    <MenuItem disabled={disabled} onClick={onClick}>
      <ListItemIcon>
        <Icon size={16} aria-hidden="true" />
      </ListItemIcon>
      <ListItemText>{text}</ListItemText>
    </MenuItem>
  );
}

function RenameDialog({
  open,
  title,
  onSave,
  onClose,
}: {
  open: boolean;
  title: string;
  onSave: (title: string) => Promise<void>;
  onClose: () => void;
}) {
  const { t } = useI18n();
  const { busy, problem, run, forget } = useAct();
  const [draft, setDraft] = useState(title);
  const id = useId();
  useEffect(() => {
    if (open) setDraft(title);
  }, [open, title]);
  const close = (): void => {
    forget();
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} aria-labelledby={id} fullWidth maxWidth="xs">
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim()) void run("rename", () => onSave(draft.trim())).then((done) => done && close());
        }}
      >
        <DialogTitle id={id}>{t("chat.renameTitle")}</DialogTitle>
        <DialogContent>
          <TextField
            autoFocus
            fullWidth
            margin="dense"
            label={t("chat.renameField")}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            slotProps={{ htmlInput: { maxLength: 200 } }}
          />
          {problem && (
            <Alert severity="error" sx={{ mt: 1.5 }}>
              {problem}
            </Alert>
          )}
        </DialogContent>
        <DialogActions>
          <Button onClick={close}>{t("common.cancel")}</Button>
          <Button type="submit" variant="contained" loading={busy !== null} disabled={!draft.trim()}>
            {t("common.save")}
          </Button>
        </DialogActions>
      </Box>
    </Dialog>
  );
}
