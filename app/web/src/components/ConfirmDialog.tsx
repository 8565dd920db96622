import { Alert, Button, Dialog, DialogActions, DialogContent, DialogContentText, DialogTitle } from "@mui/material";
import { useId } from "react";
import { useI18n } from "../i18n";
import { useAct } from "../lib/hooks";

interface Props {
  open: boolean;
  title: string;
  text: string;
  action: string;
  /** What is asked for; its refusal is shown in the dialog. */
  work: () => Promise<unknown>;
  onClose: (done: boolean) => void;
}

/** Asks before something that cannot be undone. */
export function ConfirmDialog({ open, title, text, action, work, onClose }: Props) {
  const { t } = useI18n();
  const { busy, problem, run, forget } = useAct();
  const id = useId();
  const close = (done: boolean): void => {
    forget();
    onClose(done);
  };
  return (
    <Dialog open={open} onClose={() => close(false)} aria-labelledby={id}>
      <DialogTitle id={id}>{title}</DialogTitle>
      <DialogContent>
        <DialogContentText>{text}</DialogContentText>
        {problem && (
          <Alert severity="error" sx={{ mt: 2 }}>
            {problem}
          </Alert>
        )}
      </DialogContent>
      <DialogActions>
        <Button onClick={() => close(false)} autoFocus>
          {t("common.cancel")}
        </Button>
        <Button
          color="error"
          variant="contained"
          loading={busy !== null}
          onClick={() => void run("confirm", work).then((done) => done && close(true))}
        >
          {action}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
