import { Alert, Box, Button, TextField, Typography } from "@mui/material";
import { KeySquare } from "lucide-react";
import { useState } from "react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";
import { messageOf, request } from "../../lib/api";

interface Props {
  known: boolean;
  headers: Record<string, string>;
  onChange: () => void;
}

/** Hugging Face's token, for models whose access must be asked for. It is never shown again. */
export function HubToken({ known, headers, onChange }: Props) {
  const { t } = useI18n();
  const [draft, setDraft] = useState("");
  const [problem, setProblem] = useState("");
  const keep = async (token: string): Promise<void> => {
    setProblem("");
    try {
      await request("/api/admin/huggingface/token", { method: "POST", headers, json: { token } });
      setDraft("");
      onChange();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <Card title={t("admin.hub")} icon={<KeySquare size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ mb: 1.5 }}>
        {known ? t("admin.hubKnown") : t("admin.hubHelp")}
      </Typography>
      {problem && (
        <Alert severity="error" sx={{ mb: 1.5 }}>
          {problem}
        </Alert>
      )}
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim()) void keep(draft.trim());
        }}
        sx={{ display: "flex", flexWrap: "wrap", gap: 1.5 }}
      >
        <TextField
          type="password"
          autoComplete="off"
          label={t("admin.hub")}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          sx={{ flex: "1 1 240px", maxWidth: 420 }}
        />
        <Button type="submit" variant="outlined" disabled={!draft.trim()}>
          {t("common.save")}
        </Button>
        {known && (
          <Button color="error" onClick={() => void keep("")}>
            {t("admin.hubForget")}
          </Button>
        )}
      </Box>
    </Card>
  );
}
