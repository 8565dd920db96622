import {
  Alert,
  Box,
  Button,
  Dialog,
  DialogActions,
  DialogContent,
  DialogContentText,
  DialogTitle,
  TextField,
} from "@mui/material";
import { useEffect, useState } from "react";
import { useI18n } from "../../i18n";
import type { Chat } from "./useChat";

interface Props {
  open: boolean;
  reason: Chat["keyNeeded"];
  current: string | null;
  onClose: () => void;
  onSave: (key: string | null) => void;
}

export function KeyDialog({ open, reason, current, onClose, onSave }: Props) {
  const { t } = useI18n();
  const [draft, setDraft] = useState("");
  useEffect(() => {
    if (open) setDraft("");
  }, [open]);
  return (
    <Dialog open={open} onClose={onClose} aria-labelledby="cle-titre" fullWidth maxWidth="xs">
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim()) onSave(draft.trim());
          setDraft("");
        }}
      >
        <DialogTitle id="cle-titre">{t("chat.key")}</DialogTitle>
        <DialogContent>
          {reason === "wrong" && (
            <Alert severity="error" sx={{ mb: 2 }}>
              {t("chat.keyWrong")}
            </Alert>
          )}
          {reason === "missing" && (
            <Alert severity="info" sx={{ mb: 2 }}>
              {t("chat.keyNeeded")}
            </Alert>
          )}
          <DialogContentText sx={{ mb: 2 }}>{t("chat.keyHelp")}</DialogContentText>
          <TextField
            autoFocus
            fullWidth
            type="password"
            autoComplete="off"
            label={t("chat.key")}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
          />
        </DialogContent>
        <DialogActions>
          {current && (
            <Button color="error" onClick={() => onSave(null)} sx={{ mr: "auto" }}>
              {t("chat.keyForget")}
            </Button>
          )}
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" variant="contained" disabled={!draft.trim()}>
            {t("common.save")}
          </Button>
        </DialogActions>
      </Box>
    </Dialog>
  );
}
