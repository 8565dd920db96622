import { Alert, Box, Button, Dialog, DialogActions, DialogContent, DialogTitle, Typography } from "@mui/material";
import { useId, useState } from "react";
import { CopyButton } from "../../../components/CopyButton";
import { useI18n } from "../../../i18n";
import { API_KEY_STORE } from "../../../lib/apiKey";
import { writeText } from "../../../lib/storage";
import { MONO } from "../../../theme";

/** A key that was just made: the only time that it is shown. Only its button closes it. */
export function NewKey({ name, secret, onClose }: { name: string; secret: string; onClose: () => void }) {
  const { t } = useI18n();
  const title = useId();
  const [used, setUsed] = useState(false);
  return (
    <Dialog open fullWidth maxWidth="sm" aria-labelledby={title}>
      <DialogTitle id={title}>{t("keys.made", { name })}</DialogTitle>
      <DialogContent>
        <Alert severity="warning" sx={{ mb: 2 }}>
          {t("keys.once")}
        </Alert>
        <Box
          sx={{
            display: "flex",
            flexWrap: "wrap",
            alignItems: "center",
            gap: 1,
            p: 1.5,
            borderRadius: "10px",
            bgcolor: "frost.sunken",
            border: 1,
            borderColor: "divider",
          }}
        >
          <Box
            component="code"
            data-testid="secret"
            tabIndex={0}
            role="group"
            aria-label={t("keys.secret")}
            sx={{ flex: "1 1 240px", fontFamily: MONO, fontSize: "0.9rem", overflowWrap: "anywhere", userSelect: "all" }}
          >
            {secret}
          </Box>
          <CopyButton text={secret} label={t("keys.copy")} />
        </Box>
        <Box sx={{ mt: 1.5, minHeight: 34 }} role="status">
          {used ? (
            <Typography variant="body2">{t("keys.usedHere")}</Typography>
          ) : (
            <Button size="small" onClick={() => setUsed(writeText(API_KEY_STORE, secret))}>
              {t("keys.useHere")}
            </Button>
          )}
        </Box>
      </DialogContent>
      <DialogActions>
        <Button variant="contained" onClick={onClose}>
          {t("keys.done")}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
