import { Box, Typography } from "@mui/material";
import { useState } from "react";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ListFailed } from "../../components/ListFailed";
import { OpenFridge } from "../../components/Logo";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { request } from "../../lib/api";
import { usePolling, useTitle } from "../../lib/hooks";
import { TERMINAL, type MeetingSummary } from "../../lib/types";
import { DropZone } from "./DropZone";
import { MeetingRow } from "./MeetingRow";

const BUSY = 1500;
const CALM = 15_000;
const FAILED = 4000;

const busy = (meetings: MeetingSummary[] | null): boolean => (meetings ?? []).some(({ state }) => !TERMINAL.has(state));

export function MeetingsPage() {
  const { t } = useI18n();
  useTitle(t("meetings.title"));
  const { data, error, refresh } = usePolling(
    async (signal) => {
      const { data: meetings } = await request<{ data: MeetingSummary[] }>("/api/meetings", { signal });
      return [...meetings].sort((a, b) => time(b.created_at) - time(a.created_at));
    },
    (meetings, failure) => (failure ? FAILED : busy(meetings) ? BUSY : CALM),
    [],
  );
  const [doomed, setDoomed] = useState<MeetingSummary | null>(null);
  const empty = data !== null && data.length === 0;

  return (
    <Page>
      <Typography variant="h1">{t("meetings.title")}</Typography>
      <Typography color="textSecondary" sx={{ mt: 0.75, mb: 3, maxWidth: "62ch" }}>
        {t("meetings.lead")}
      </Typography>

      <DropZone />

      <Box component="section" aria-labelledby="au-frais" sx={{ mt: 5 }}>
        <Box sx={{ display: "flex", alignItems: "baseline", gap: 1.5, mb: 1 }}>
          <Typography variant="h2" id="au-frais">
            {t("meetings.list")}
          </Typography>
          {data && data.length > 0 && (
            <Typography variant="body2" color="textSecondary">
              {t("meetings.count", { n: data.length })}
            </Typography>
          )}
        </Box>
        <ListFailed text={t("meetings.listFailed")} error={error} onRetry={refresh} />
        {empty && (
          <Box
            sx={{ display: "flex", flexDirection: { xs: "column", sm: "row" }, alignItems: "center", gap: 3, py: 3 }}
          >
            <OpenFridge />
            <Box>
              <Typography variant="h3">{t("meetings.empty")}</Typography>
              <Typography color="textSecondary" sx={{ mt: 0.5, maxWidth: "52ch" }}>
                {t("meetings.emptyHelp")}
              </Typography>
            </Box>
          </Box>
        )}
        {data && data.length > 0 && (
          <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0 }}>
            {data.map((meeting) => (
              <MeetingRow key={meeting.id} meeting={meeting} onDelete={() => setDoomed(meeting)} />
            ))}
          </Box>
        )}
      </Box>

      <ConfirmDialog
        open={doomed !== null}
        title={t("meetings.deleteTitle")}
        text={t("meetings.deleteText", { title: doomed?.title || t("meetings.untitled") })}
        action={t("common.delete")}
        work={() => request(`/api/meetings/${encodeURIComponent(doomed?.id ?? "")}`, { method: "DELETE" })}
        onClose={(deleted) => {
          setDoomed(null);
          if (deleted) refresh();
        }}
      />
    </Page>
  );
}

const time = (value: string | number): number => (typeof value === "number" ? value * 1000 : Date.parse(value) || 0);
