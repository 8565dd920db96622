import { Alert, Box, Button, LinearProgress, Typography } from "@mui/material";
import { FileAudio, PlayCircle, Upload } from "lucide-react";
import { useEffect, useRef, useState, type DragEvent } from "react";
import { useLocation } from "wouter";
import { useI18n } from "../../i18n";
import { isAbort, messageOf, request, uploadMeeting } from "../../lib/api";
import { formatBytes, formatPercent } from "../../lib/format";
import { readText, writeText } from "../../lib/storage";
import { countFields } from "../../lib/voices";
import { UploadFields, type Details } from "./UploadFields";

/** The language that was said last: an office mostly speaks one. */
const SPOKEN = "frigo.spoken";
const ACCEPTED = "audio/*,video/*,.wav,.mp3,.m4a,.aac,.ogg,.oga,.opus,.flac,.webm,.mp4,.mov,.mkv";

/** Drop, click or keyboard; then title, language and number of people; then the upload with its progress. */
export function DropZone() {
  const { t, lang } = useI18n();
  const [, navigate] = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const upload = useRef<AbortController | null>(null);
  const [over, setOver] = useState(false);
  const [file, setFile] = useState<File | null>(null);
  const [details, setDetails] = useState<Details>(() => ({
    title: "",
    language: readText(SPOKEN) ?? "",
    count: "",
    least: "2",
    most: "6",
  }));
  const change = (fields: Partial<Details>): void => setDetails((old) => ({ ...old, ...fields }));
  const [progress, setProgress] = useState<number | null>(null);
  const [starting, setStarting] = useState(false);
  const [problem, setProblem] = useState("");
  const [note, setNote] = useState("");

  useEffect(() => () => upload.current?.abort(), []);

  const choose = (files: FileList | null): void => {
    const first = files?.[0];
    if (!first) return;
    setFile(first);
    setProblem("");
    setNote(files.length > 1 ? t("meetings.oneFile", { name: first.name }) : "");
    if (!details.title || (file && details.title === titleOf(file))) change({ title: titleOf(first) });
  };

  const start = async (): Promise<void> => {
    if (!file) return;
    upload.current = new AbortController();
    setProblem("");
    setProgress(0);
    try {
      const { title, language, count, least, most } = details;
      writeText(SPOKEN, language || null);
      const fields = { title: title.trim(), language, ...countFields(count, least, most) };
      const { id } = await uploadMeeting(file, fields, setProgress, upload.current.signal);
      navigate(`/reunions/${encodeURIComponent(id)}`);
    } catch (error) {
      setProgress(null);
      if (!isAbort(error)) setProblem(messageOf(error));
    }
  };

  const sample = async (): Promise<void> => {
    setProblem("");
    setStarting(true);
    try {
      const { id } = await request<{ id: string }>("/api/meetings/sample", { method: "POST" });
      navigate(`/reunions/${encodeURIComponent(id)}`);
    } catch (error) {
      setStarting(false);
      setProblem(messageOf(error));
    }
  };

  const drag = (event: DragEvent, entering: boolean): void => {
    event.preventDefault();
    setOver(entering);
  };

  const uploading = progress !== null;
  // A recording let go beside the zone is meant for it; the browser would leave the page to play it.
  const drop = useRef(choose);
  drop.current = uploading ? () => undefined : choose;
  useEffect(() => {
    const over = (event: globalThis.DragEvent): void => event.preventDefault();
    const letGo = (event: globalThis.DragEvent): void => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      drop.current(event.dataTransfer?.files ?? null);
    };
    window.addEventListener("dragover", over);
    window.addEventListener("drop", letGo);
    return () => {
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", letGo);
    };
  }, []);
  return (
    <Box>
      <input
        ref={input}
        type="file"
        accept={ACCEPTED}
        hidden
        data-testid="recording"
        onChange={(event) => {
          choose(event.target.files);
          event.target.value = "";
        }}
      />
      <Box
        onDragEnter={(event) => drag(event, true)}
        onDragOver={(event) => drag(event, true)}
        onDragLeave={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget as Node | null)) drag(event, false);
        }}
        onDrop={(event) => {
          drag(event, false);
          if (!uploading) choose(event.dataTransfer.files);
        }}
        onClick={(event) => {
          // The mouse may click anywhere in it; the keyboard has the button.
          if (!file && !(event.target as HTMLElement).closest("button")) input.current?.click();
        }}
        sx={{
          cursor: file ? "auto" : "pointer",
          bgcolor: over ? "frost.tint" : "background.paper",
          border: "2px dashed",
          borderColor: over ? "primary.main" : "frost.shelf",
          borderRadius: "16px",
          p: { xs: 2.5, sm: 3.5 },
          transition: "background-color .15s, border-color .15s",
        }}
      >
        {file ? (
          <Chosen name={file.name} size={formatBytes(file.size, lang)}>
            {!uploading && (
              <Button size="small" onClick={() => input.current?.click()}>
                {t("meetings.change")}
              </Button>
            )}
          </Chosen>
        ) : (
          <Box
            sx={{
              display: "flex",
              flexDirection: { xs: "column", sm: "row" },
              alignItems: "center",
              gap: { xs: 2, sm: 3 },
              textAlign: { xs: "center", sm: "left" },
            }}
          >
            <Box
              sx={{
                flex: "none",
                width: 60,
                height: 60,
                borderRadius: "16px",
                display: "grid",
                placeItems: "center",
                bgcolor: "frost.tint",
                color: "primary.main",
              }}
            >
              <Upload size={26} aria-hidden="true" />
            </Box>
            <Box sx={{ flex: 1 }}>
              <Typography variant="h2" component="p">
                {over ? t("meetings.dropActive") : t("meetings.drop")}
              </Typography>
              <Typography variant="body2" color="textSecondary" sx={{ mt: 0.5 }}>
                {t("meetings.formats")}
              </Typography>
            </Box>
            <Button variant="contained" size="large" onClick={() => input.current?.click()}>
              {t("meetings.browse")}
            </Button>
          </Box>
        )}

        {file && (
          <Box
            component="form"
            onSubmit={(event) => {
              event.preventDefault();
              void start();
            }}
          >
            <UploadFields value={details} disabled={uploading} onChange={change} />
            {uploading ? (
              <Box sx={{ mt: 2.5, display: "flex", alignItems: "center", gap: 2 }}>
                <Box sx={{ flex: 1 }} aria-live="polite">
                  <Typography variant="body2" sx={{ mb: 0.5 }}>
                    {progress < 1
                      ? `${t("meetings.uploading")} · ${formatPercent(progress, lang)}`
                      : t("meetings.uploaded")}
                  </Typography>
                  <LinearProgress
                    aria-label={t("meetings.uploading")}
                    variant={progress < 1 ? "determinate" : "indeterminate"}
                    value={progress * 100}
                  />
                </Box>
                <Button onClick={() => upload.current?.abort()}>{t("common.cancel")}</Button>
              </Box>
            ) : (
              <Box sx={{ mt: 2.5, display: "flex", gap: 1.5 }}>
                <Button type="submit" variant="contained" size="large">
                  {t("meetings.start")}
                </Button>
                <Button
                  onClick={() => {
                    setFile(null);
                    change({ title: "" });
                  }}
                >
                  {t("common.cancel")}
                </Button>
              </Box>
            )}
          </Box>
        )}
        <Box role="status" aria-live="polite">
          {note && (
            <Typography variant="body2" color="textSecondary" sx={{ mt: 1.5 }}>
              {note}
            </Typography>
          )}
        </Box>
      </Box>

      {problem && (
        <Alert severity="error" sx={{ mt: 2 }} onClose={() => setProblem("")}>
          <strong>{t("meetings.uploadFailed")}.</strong> {problem}
        </Alert>
      )}

      {!file && (
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", columnGap: 1.5, mt: 1.5 }}>
          <Button
            startIcon={<PlayCircle size={18} aria-hidden="true" />}
            onClick={() => void sample()}
            loading={starting}
            loadingPosition="start"
          >
            {t("meetings.sample")}
          </Button>
          <Typography variant="body2" color="textSecondary">
            {t("meetings.sampleNote")}
          </Typography>
        </Box>
      )}
    </Box>
  );
}

const titleOf = (file: File): string => file.name.replace(/\.[^.]+$/, "").replace(/[_-]+/g, " ");

function Chosen({ name, size, children }: { name: string; size: string; children: React.ReactNode }) {
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 1.5, flexWrap: "wrap" }}>
      <FileAudio size={24} aria-hidden="true" />
      <Typography sx={{ fontWeight: 650, overflowWrap: "anywhere" }}>{name}</Typography>
      <Typography variant="body2" color="textSecondary">
        {size}
      </Typography>
      {children}
    </Box>
  );
}
