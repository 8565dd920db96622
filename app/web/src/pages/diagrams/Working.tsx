import { Box, Button, LinearProgress, Typography } from "@mui/material";
import { Square } from "lucide-react";
import { useEffect, useState } from "react";
import { useI18n } from "../../i18n";
import type { Key } from "../../i18n/fr";
import type { Wait } from "../../lib/completion";

const STATES = ["idle", "downloading", "downloaded", "loading", "unloading", "error"];

/** What the server does, since when, and a way to stop it. */
export function Working({ text, wait, onStop }: { text: string; wait: Wait | null; onStop: () => void }) {
  const { t } = useI18n();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = Date.now();
    const timer = setInterval(() => setSeconds(Math.floor((Date.now() - began) / 1000)), 1000);
    return () => clearInterval(timer);
  }, []);
  let said = text;
  if (wait?.reason === "service") said = t("chat.waitService", { service: wait.name, seconds: wait.seconds });
  if (wait?.reason === "model") {
    const state = STATES.includes(wait.state) ? t(`admin.state.${wait.state}` as Key).toLocaleLowerCase() : wait.state;
    said = t("chat.waitModel", { model: wait.name, state, seconds: wait.seconds });
  }
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 1.5, mt: 1.5 }}>
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Box sx={{ display: "flex", justifyContent: "space-between", gap: 1 }}>
          <Typography variant="body2" role="status">
            {said}
          </Typography>
          <Typography variant="body2" color="textSecondary" aria-hidden="true" sx={{ fontVariantNumeric: "tabular-nums" }}>
            {t("draw.elapsed", { seconds })}
          </Typography>
        </Box>
        <LinearProgress
          aria-label={text}
          variant={wait?.progress ? "determinate" : "indeterminate"}
          value={(wait?.progress ?? 0) * 100}
          sx={{ mt: 0.5 }}
        />
      </Box>
      <Button size="small" color="error" startIcon={<Square size={14} aria-hidden="true" />} onClick={onStop}>
        {t("draw.stop")}
      </Button>
    </Box>
  );
}
