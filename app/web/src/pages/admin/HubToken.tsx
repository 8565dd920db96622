import { Alert, Box, Button, TextField, Typography } from "@mui/material";
import { KeySquare } from "lucide-react";
import { useState } from "react";
import { Card } from "../../components/Card";
import { Linked, Outside } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { useAct } from "../../lib/hooks";
import { hostOf } from "./replicas";
import type { AdminStatus, ModelInfo } from "../../lib/types";
import { hubPage, TOKEN_FORM, TOKENS_PAGE } from "./hub";

interface Props {
  known: boolean;
  /** Who was told its last value, and who could not be. */
  told: NonNullable<AdminStatus["huggingface_token_replicas"]>;
  /** Those whose terms must be accepted on the hub. */
  gated: ModelInfo[];
  headers: Record<string, string>;
  onChange: () => void;
}

/** Hugging Face's token, for models whose access must be asked for. It is never shown again. */
export function HubToken({ known, told, gated, headers, onChange }: Props) {
  const { t } = useI18n();
  const [draft, setDraft] = useState("");
  const { busy, problem, run } = useAct();
  const keep = async (token: string): Promise<void> => {
    await request("/api/admin/huggingface/token", { method: "POST", headers, json: { token } });
    setDraft("");
    onChange();
  };
  return (
    <Card title={t("admin.hub")} icon={<KeySquare size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch" }}>
        {known ? t("admin.hubKnown") : t("admin.hubHelp")}
      </Typography>
      {gated.length > 0 && (
        <Box component="ol" sx={{ my: 1, pl: 2.5, "& li": { typography: "body2", mb: 0.5 } }}>
          <li>
            {t("admin.hubTerms")}{" "}
            {gated.map(({ key, hub_id: id }, index) => (
              <span key={key}>
                {index > 0 && ", "}
                <Outside href={hubPage(id ?? key)} text={key} />
              </span>
            ))}
          </li>
          <li>
            <Linked text={t("admin.hubMake", { page: TOKENS_PAGE })} />
          </li>
        </Box>
      )}
      {told.some(({ kept }) => !kept) && (
        <Alert severity="warning" sx={{ my: 1.5, overflowWrap: "anywhere" }}>
          {t(known ? "admin.hubMissing" : "admin.hubStill")}
          <Box component="ul" sx={{ m: 0, pl: 2.5 }}>
            {told
              .filter(({ kept }) => !kept)
              .map(({ service, url, error }) => (
                <li key={`${service} ${url}`}>
                  {t("admin.replicaState", { replica: `${service} (${hostOf(url)})`, state: error ?? t("admin.down") })}
                </li>
              ))}
          </Box>
        </Alert>
      )}
      {problem && (
        <Alert severity="error" sx={{ mb: 1.5 }}>
          {problem}
        </Alert>
      )}
      <Box
        component="form"
        id={TOKEN_FORM}
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim()) void run("keep", () => keep(draft.trim()));
        }}
        sx={{ display: "flex", flexWrap: "wrap", gap: 1.5, mt: 1.5 }}
      >
        <TextField
          type="password"
          autoComplete="off"
          label={t("admin.hub")}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          sx={{ flex: "1 1 240px", maxWidth: 420 }}
        />
        <Button type="submit" variant="outlined" loading={busy === "keep"} disabled={!draft.trim()}>
          {t("common.save")}
        </Button>
        {known && (
          <Button color="error" loading={busy === "forget"} onClick={() => void run("forget", () => keep(""))}>
            {t("admin.hubForget")}
          </Button>
        )}
      </Box>
    </Card>
  );
}
