import { Box, Button, CircularProgress, IconButton, Tooltip, Typography } from "@mui/material";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ListFailed } from "../../components/ListFailed";
import { OpenFridge } from "../../components/Logo";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { formatDate, formatDuration } from "../../lib/format";
import { usePolling, useTitle } from "../../lib/hooks";
import type { KnownVoice } from "../../lib/types";
import { AddVoice, VOICES } from "./AddVoice";

const CALM = 15_000;
const FAILED = 4000;

/** The people whose voice is known: who they are, how to forget them, how to add somebody. */
export default function VoicesPage() {
  const { t } = useI18n();
  useTitle(t("voices.title"));
  const { data, error, refresh } = usePolling(
    async (signal) => (await request<{ data: KnownVoice[] }>(VOICES, { signal })).data,
    (_, failure) => (failure ? FAILED : CALM),
    [],
  );
  const [doomed, setDoomed] = useState<KnownVoice | null>(null);

  return (
    <Page>
      <Typography variant="h1">{t("voices.title")}</Typography>
      <Typography color="textSecondary" sx={{ mt: 0.75, mb: 3, maxWidth: "66ch" }}>
        {t("voices.lead")}
      </Typography>
      <ListFailed text={t("voices.listFailed")} error={error} onRetry={refresh} />
      {!data && !error && (
        <Box sx={{ display: "grid", placeItems: "center", minHeight: 120 }}>
          <CircularProgress aria-label={t("common.loading")} />
        </Box>
      )}
      {data?.length === 0 && <Empty />}
      {data && data.length > 0 && (
        <Box component="ul" aria-label={t("voices.title")} sx={{ listStyle: "none", m: 0, mb: 4, p: 0 }}>
          {data.map((voice) => (
            <VoiceRow key={voice.id} voice={voice} onForget={() => setDoomed(voice)} />
          ))}
        </Box>
      )}
      <AddVoice onAdded={refresh} />
      <ConfirmDialog
        open={doomed !== null}
        title={t("voices.deleteTitle")}
        text={t("voices.deleteText", { name: doomed?.name ?? "" })}
        action={t("voices.forget")}
        work={() => request(`${VOICES}/${encodeURIComponent(doomed?.id ?? "")}`, { method: "DELETE" })}
        onClose={(done) => {
          setDoomed(null);
          if (done) refresh();
        }}
      />
    </Page>
  );
}

function Empty() {
  const { t } = useI18n();
  return (
    <Box
      sx={{ display: "flex", flexDirection: { xs: "column", sm: "row" }, alignItems: "center", gap: 3, pt: 1, pb: 4 }}
    >
      <OpenFridge />
      <Box>
        <Typography variant="h3" component="h2">
          {t("voices.empty")}
        </Typography>
        <Typography color="textSecondary" sx={{ mt: 0.5, mb: 1, maxWidth: "56ch" }}>
          {t("voices.emptyHelp")}
        </Typography>
        <Button component={Link} href="/reunions" size="small" variant="outlined">
          {t("voices.emptyLink")}
        </Button>
      </Box>
    </Box>
  );
}

function VoiceRow({ voice, onForget }: { voice: KnownVoice; onForget: () => void }) {
  const { t, lang } = useI18n();
  const facts = [
    t("voices.added", { date: formatDate(voice.created, lang) }),
    t("voices.seconds", { duration: formatDuration(voice.seconds, lang) }),
    t("voices.model", { model: voice.model }),
  ];
  return (
    <Box
      component="li"
      data-voice={voice.name}
      sx={{
        display: "flex",
        alignItems: "center",
        gap: 1.5,
        py: 1.25,
        px: 1,
        borderBottom: "3px solid",
        borderColor: "frost.shelf",
      }}
    >
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Typography sx={{ fontWeight: 650, overflowWrap: "anywhere" }}>{voice.name}</Typography>
        <Typography variant="body2" color="textSecondary">
          {facts.join(" · ")}
        </Typography>
      </Box>
      <Tooltip title={t("voices.forget")}>
        <IconButton aria-label={t("voices.delete", { name: voice.name })} onClick={onForget}>
          <Trash2 size={18} aria-hidden="true" />
        </IconButton>
      </Tooltip>
    </Box>
  );
}
