import { Alert, Box, Button, TextField, Typography } from "@mui/material";
import { AudioWaveform, FileAudio } from "lucide-react";
import { useRef, useState } from "react";
import { Card } from "../../components/Card";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { useAct } from "../../lib/hooks";
import type { KnownVoice } from "../../lib/types";

export const VOICES = "/api/diarization/voices";

/** A name and a sample: somebody who has not been in a meeting yet. */
export function AddVoice({ onAdded }: { onAdded: () => void }) {
  const { t } = useI18n();
  const input = useRef<HTMLInputElement>(null);
  const [name, setName] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const [added, setAdded] = useState("");
  const { busy, problem, run, forget } = useAct();
  const whole = name.trim() !== "" && file !== null;

  const add = async (): Promise<void> => {
    if (!file) return;
    const form = new FormData();
    form.append("name", name.trim());
    form.append("file", file, file.name);
    const voice = await request<KnownVoice>(VOICES, { method: "POST", form });
    setAdded(voice.name);
    setName("");
    setFile(null);
    onAdded();
  };
  const anew = (): void => {
    forget();
    setAdded("");
  };

  return (
    <Card title={t("voices.addTitle")} icon={<AudioWaveform size={20} aria-hidden="true" />}>
      <Typography variant="body2" color="textSecondary" sx={{ maxWidth: "80ch", mb: 2 }}>
        {t("voices.addHelp")} {t("voices.consent")}
      </Typography>
      <Box
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (whole && !busy) void run("add", add);
        }}
        sx={{ display: "flex", flexWrap: "wrap", gap: 1.5, alignItems: "center" }}
      >
        <TextField
          label={t("voices.name")}
          value={name}
          onChange={(event) => {
            setName(event.target.value);
            anew();
          }}
          disabled={busy !== null}
          sx={{ flex: "1 1 220px", maxWidth: 360 }}
          slotProps={{ htmlInput: { maxLength: 80 } }}
        />
        <input
          ref={input}
          type="file"
          accept="audio/*,video/*"
          hidden
          data-testid="sample"
          onChange={(event) => {
            setFile(event.target.files?.[0] ?? null);
            anew();
            event.target.value = "";
          }}
        />
        <Button
          variant="outlined"
          startIcon={<FileAudio size={16} aria-hidden="true" />}
          disabled={busy !== null}
          onClick={() => input.current?.click()}
          sx={{ maxWidth: "100%", overflowWrap: "anywhere", minHeight: 40 }}
        >
          {file ? file.name : t("voices.file")}
        </Button>
        <Button
          type="submit"
          variant="contained"
          loading={busy !== null}
          loadingPosition="start"
          startIcon={<AudioWaveform size={16} aria-hidden="true" />}
          disabled={!whole}
          sx={{ minHeight: 40 }}
        >
          {t("voices.add")}
        </Button>
      </Box>
      {problem && (
        <Alert severity="error" onClose={forget} sx={{ mt: 1.5 }}>
          {problem}
        </Alert>
      )}
      <Box role="status">
        {added && (
          <Alert severity="success" sx={{ mt: 1.5 }}>
            {t("voices.addedNow", { name: added })}
          </Alert>
        )}
      </Box>
    </Card>
  );
}
