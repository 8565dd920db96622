import { Box, Button, TextField } from "@mui/material";
import { Plus } from "lucide-react";
import { useId, useState } from "react";
import { useI18n } from "../../i18n";
import { useAct } from "../../lib/hooks";
import { hubIdFrom, isHubId } from "../../lib/models";
import { Refusal } from "./ModelParts";

/** Any model of the hub, by its id or the address of its page. */
export function HubModel({ example, onLoad }: { example: string; onLoad: (hubId: string) => Promise<void> }) {
  const { t } = useI18n();
  const [draft, setDraft] = useState("");
  const { busy, problem, run, forget } = useAct();
  const id = useId();
  const hubId = hubIdFrom(draft);
  const wrong = draft.trim() !== "" && !isHubId(hubId);
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isHubId(hubId) || busy) return;
        void run("load", () => onLoad(hubId)).then((accepted) => accepted && setDraft(""));
      }}
      sx={{ borderTop: 1, borderColor: "divider", pt: 2, mt: 1 }}
    >
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 1.5, alignItems: "flex-start" }}>
        <TextField
          id={id}
          label={t("admin.other")}
          placeholder={example}
          value={draft}
          onChange={(event) => {
            setDraft(event.target.value);
            forget();
          }}
          helperText={wrong ? t("admin.otherWrong", { example }) : t("admin.otherHelp")}
          error={wrong && draft.includes(" ")}
          slotProps={{ htmlInput: { autoCapitalize: "none", autoCorrect: "off", spellCheck: false } }}
          sx={{ flex: "1 1 260px", maxWidth: 520 }}
        />
        <Button
          type="submit"
          variant="outlined"
          startIcon={<Plus size={16} aria-hidden="true" />}
          loading={busy !== null}
          loadingPosition="start"
          disabled={!isHubId(hubId)}
          sx={{ minHeight: 40 }}
        >
          {t("admin.load")}
        </Button>
      </Box>
      <Refusal text={problem} onClose={forget} />
    </Box>
  );
}
