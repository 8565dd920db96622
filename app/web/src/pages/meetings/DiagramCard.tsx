import { Alert, Box, Typography } from "@mui/material";
import { Workflow } from "lucide-react";
import { useMemo } from "react";
import { Card, Pending } from "../../components/Card";
import { DiagramView } from "../../components/DiagramView";
import { useI18n } from "../../i18n";
import { TERMINAL, type Meeting } from "../../lib/types";

interface Props {
  meeting: Meeting;
  onPlay: (seconds: number) => void;
}

export function DiagramCard({ meeting, onPlay }: Props) {
  const { t } = useI18n();
  const { diagram } = meeting;
  const { spots, seconds } = useMemo(() => {
    const spoken = (diagram?.graph?.nodes ?? []).flatMap(({ id, label, source }) =>
      typeof source?.start_s === "number" ? [{ id, label, seconds: source.start_s }] : [],
    );
    return {
      spots: spoken.map(({ id, label }) => ({ id, label, title: t("diagram.playNode", { label }) })),
      seconds: spoken.map((each) => each.seconds),
    };
  }, [diagram, t]);

  return (
    <Card title={t("diagram.title")} icon={<Workflow size={20} aria-hidden="true" />}>
      {!diagram ? (
        <Pending>{TERMINAL.has(meeting.state) ? t("diagram.none") : t("diagram.pending")}</Pending>
      ) : (
        <Box>
          {diagram.valid === null && (
            <Alert severity="warning" sx={{ mb: 1.5 }}>
              {t("diagram.unchecked")}
            </Alert>
          )}
          <DiagramView
            code={diagram.mermaid}
            graph={diagram.graph ?? null}
            spots={spots}
            onPick={(index) => onPlay(seconds[index] ?? 0)}
            name={meeting.title || "diagramme"}
          />
          {spots.length > 0 && (
            <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
              {t("diagram.play")}
            </Typography>
          )}
        </Box>
      )}
    </Card>
  );
}
