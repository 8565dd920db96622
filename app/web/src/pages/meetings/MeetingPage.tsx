import { Alert, Box, Button, CircularProgress, Typography } from "@mui/material";
import { ArrowLeft } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { Link } from "wouter";
import { Page } from "../../components/Shell";
import { useI18n } from "../../i18n";
import { messageOf, RequestError } from "../../lib/api";
import { useDark, useTitle } from "../../lib/hooks";
import { speakerColour } from "../../theme";
import type { Meeting } from "../../lib/types";
import { DiagramCard } from "./DiagramCard";
import { MeetingHeader } from "./MeetingHeader";
import { MinutesCard } from "./MinutesCard";
import { Notices } from "./Notices";
import { Player } from "./Player";
import { Speakers } from "./Speakers";
import { Steps } from "./Steps";
import { Transcript } from "./Transcript";
import { actOnMeeting, audioUrl, changeMeeting, rememberVoice, useMeeting } from "./useMeeting";
import { usePlayer } from "./usePlayer";

export default function MeetingPage({ id }: { id: string }) {
  const { t } = useI18n();
  const { meeting, error, interrupted, set, reload } = useMeeting(id);
  useTitle(meeting ? meeting.title || t("meetings.untitled") : t("meetings.title"));

  if (!meeting) {
    const missing = error instanceof RequestError && error.status === 404;
    return (
      <Page>
        <BackLink />
        <h1 className="visually-hidden">{t("meetings.title")}</h1>
        {error ? (
          <Alert severity={missing ? "info" : "error"} sx={{ mt: 2 }}>
            {missing ? t("meeting.notFound") : error.message}
          </Alert>
        ) : (
          <Box sx={{ display: "grid", placeItems: "center", minHeight: 240 }}>
            <CircularProgress aria-label={t("common.loading")} />
          </Box>
        )}
      </Page>
    );
  }
  return <MeetingView meeting={meeting} interrupted={interrupted} set={set} reload={reload} />;
}

export function BackLink() {
  const { t } = useI18n();
  return (
    <Button
      component={Link}
      href="/reunions"
      size="small"
      startIcon={<ArrowLeft size={16} aria-hidden="true" />}
      sx={{ ml: -0.75 }}
    >
      {t("meeting.back")}
    </Button>
  );
}

interface ViewProps {
  meeting: Meeting;
  interrupted: boolean;
  set: (meeting: Meeting) => void;
  reload: () => void;
}

function MeetingView({ meeting, interrupted, set, reload }: ViewProps) {
  const { t } = useI18n();
  const dark = useDark();
  const player = usePlayer();
  const [problem, setProblem] = useState("");

  const order = useMemo(() => Object.keys(meeting.speakers ?? {}), [meeting.speakers]);
  const colourOf = useCallback(
    (speaker: string | null) => speakerColour(Math.max(0, order.indexOf(speaker ?? "")), dark),
    [order, dark],
  );
  const nameOf = useCallback(
    (speaker: string | null) => (speaker && meeting.speakers[speaker]) || speaker || t("transcript.unknown"),
    [meeting.speakers, t],
  );

  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setProblem("");
    try {
      await work();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  const change = (fields: { title?: string; speakers?: Record<string, string> }): Promise<void> =>
    attempt(async () => {
      const answer = await changeMeeting(meeting.id, fields);
      if (answer?.id) set(answer);
      else reload();
    });
  const act = (action: "cancel" | "retry"): Promise<void> =>
    attempt(async () => {
      await actOnMeeting(meeting.id, action);
      reload();
    });

  const seek = player.seek;
  return (
    <Page wide>
      <BackLink />
      <MeetingHeader meeting={meeting} onRename={(title) => change({ title })} onAct={act} />
      {problem && (
        <Alert severity="error" sx={{ mt: 2 }} onClose={() => setProblem("")}>
          {problem}
        </Alert>
      )}
      <Notices meeting={meeting} interrupted={interrupted} onPlay={seek} />
      <Steps meeting={meeting} />

      <Player
        src={audioUrl(meeting.id)}
        player={player}
        duration={meeting.duration}
        segments={meeting.segments}
        colourOf={colourOf}
      >
        {order.length > 0 && (
          <Speakers
            meeting={meeting}
            colourOf={colourOf}
            nameOf={nameOf}
            onRename={(speakers) => change({ speakers })}
            onRemember={async (speaker, name) => {
              await rememberVoice(meeting.id, speaker, name);
              reload();
            }}
            onListen={seek}
          />
        )}
      </Player>

      <Box
        sx={{
          display: "grid",
          gap: 2.5,
          mt: 2.5,
          alignItems: "start",
          gridTemplateColumns: { xs: "minmax(0, 1fr)", lg: "minmax(0, 1fr) minmax(0, 1fr)" },
          gridTemplateRows: { lg: "auto 1fr" },
          gridTemplateAreas: {
            xs: '"minutes" "diagram" "transcript"',
            lg: '"minutes diagram" "transcript diagram"',
          },
        }}
      >
        <Box sx={{ gridArea: "minutes", minWidth: 0 }}>
          <MinutesCard meeting={meeting} onPlay={seek} />
        </Box>
        <Box
          sx={{
            gridArea: "diagram",
            minWidth: 0,
            position: { lg: "sticky" },
            top: { lg: "calc(122px + var(--banner))" },
          }}
        >
          <DiagramCard meeting={meeting} onPlay={seek} />
        </Box>
        <Box sx={{ gridArea: "transcript", minWidth: 0 }}>
          <Transcript meeting={meeting} player={player} colourOf={colourOf} nameOf={nameOf} />
        </Box>
      </Box>
      <Typography variant="body2" color="textSecondary" sx={{ mt: 4 }}>
        {(["asr", "diarize", "chat"] as const)
          .filter((role) => meeting.models?.[role])
          .map((role) => `${t(`meeting.models.${role}`)} : ${meeting.models[role]}`)
          .join(" · ")}
      </Typography>
    </Page>
  );
}
