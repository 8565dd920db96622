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
  const moments = useMemo(() => {
    const found = new Map<string, { seconds: number; label: string }>();
    for (const node of diagram?.graph?.nodes ?? []) {
      const seconds = node.source?.start_s;
      if (typeof seconds === "number") found.set(node.id, { seconds, label: node.label });
    }
    return found;
  }, [diagram]);

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
            moments={moments}
            onPlay={onPlay}
            name={meeting.title || "diagramme"}
          />
          {moments.size > 0 && (
            <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
              {t("diagram.play")}
            </Typography>
          )}
        </Box>
      )}
    </Card>
  );
}
