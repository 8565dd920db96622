import { Alert, Button } from "@mui/material";
import { useI18n } from "../i18n";

/** A list that could not be read: what it is, why, and a way to ask again. */
export function ListFailed({ text, error, onRetry }: { text: string; error: Error | null; onRetry: () => void }) {
  const { t } = useI18n();
  if (!error) return null;
  return (
    <Alert
      severity="error"
      sx={{ mb: 2, flexWrap: "wrap", overflowWrap: "anywhere", "& .MuiAlert-message": { flex: "1 1 120px" } }}
      action={
        <Button color="inherit" size="small" onClick={onRetry} sx={{ whiteSpace: "nowrap" }}>
          {t("common.retry")}
        </Button>
      }
    >
      {text}. {error.message}
    </Alert>
  );
}
