import { Alert, Box, Button, TextField, Typography } from "@mui/material";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";

export function TokenForm({ refused, onToken }: { refused: boolean; onToken: (token: string) => void }) {
  const { t } = useI18n();
  const [draft, setDraft] = useState("");
  return (
    <Card title={t("admin.tokenTitle")} icon={<KeyRound size={20} aria-hidden="true" />}>
      <Typography sx={{ mb: 2, maxWidth: "72ch" }}>{t("admin.tokenHelp", { path: "DATA_DIR/admin_token" })}</Typography>
      {refused && (
        <Alert severity="error" sx={{ mb: 2 }}>
          {t("admin.tokenWrong")}
        </Alert>
      )}
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim()) onToken(draft.trim());
        }}
        sx={{ display: "flex", flexWrap: "wrap", gap: 1.5, alignItems: "flex-start" }}
      >
        <TextField
          type="password"
          autoComplete="off"
          label={t("admin.tokenField")}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          helperText={t("admin.tokenKept")}
          sx={{ flex: "1 1 240px", maxWidth: 420 }}
        />
        <Button type="submit" variant="contained" size="large" disabled={!draft.trim()}>
          {t("admin.tokenOpen")}
        </Button>
      </Box>
    </Card>
  );
}
