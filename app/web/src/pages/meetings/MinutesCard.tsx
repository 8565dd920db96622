import { Box, Link, Table, TableBody, TableCell, TableContainer, TableHead, TableRow, Typography } from "@mui/material";
import { ClipboardList } from "lucide-react";
import { Card, Pending } from "../../components/Card";
import { CopyButton } from "../../components/CopyButton";
import { useI18n } from "../../i18n";
import { formatClock } from "../../lib/format";
import { TERMINAL, type Meeting, type Point } from "../../lib/types";

interface Props {
  meeting: Meeting;
  onPlay: (seconds: number) => void;
}

export function MinutesCard({ meeting, onPlay }: Props) {
  const { t } = useI18n();
  const { minutes } = meeting;
  const icon = <ClipboardList size={20} aria-hidden="true" />;
  if (!minutes) {
    return (
      <Card title={t("minutes.title")} icon={icon}>
        <Pending>{TERMINAL.has(meeting.state) ? t("minutes.none") : t("minutes.pending")}</Pending>
      </Card>
    );
  }
  return (
    <Card title={t("minutes.title")} icon={icon} tools={minutes.markdown && <CopyButton text={minutes.markdown} />}>
      {minutes.summary && (
        <Typography sx={{ fontSize: "1.02rem", lineHeight: 1.6, mb: 2 }}>{minutes.summary}</Typography>
      )}
      <Points title={t("minutes.decisions")} items={minutes.decisions} onPlay={onPlay} />
      {minutes.actions?.length > 0 && (
        <>
          <Typography variant="h3" sx={{ mt: 2, mb: 0.5 }}>
            {t("minutes.actions")}
          </Typography>
          <TableContainer>
            <Table
              size="small"
              aria-label={t("minutes.actions")}
              sx={{ "& td, & th": { px: 1, verticalAlign: "top" }, "& td": { overflowWrap: "anywhere" }, "& td:first-of-type": { overflowWrap: "break-word" } }}
            >
              <TableHead>
                <TableRow>
                  <TableCell>{t("minutes.who")}</TableCell>
                  <TableCell>{t("minutes.what")}</TableCell>
                  <TableCell>{t("minutes.when")}</TableCell>
                </TableRow>
              </TableHead>
              <TableBody>
                {minutes.actions.map((action, index) => (
                  <TableRow key={index}>
                    <TableCell sx={{ fontWeight: 650 }}>{action.who || "–"}</TableCell>
                    <TableCell>
                      {action.what} <Moment seconds={action.seconds} onPlay={onPlay} />
                    </TableCell>
                    <TableCell>{action.when || "–"}</TableCell>
                  </TableRow>
                ))}
              </TableBody>
            </Table>
          </TableContainer>
        </>
      )}
      <Points title={t("minutes.open")} items={minutes.open_points} onPlay={onPlay} />
    </Card>
  );
}

interface PointsProps {
  title: string;
  items: (Point | string)[] | undefined;
  onPlay: (seconds: number) => void;
}

function Points({ title, items, onPlay }: PointsProps) {
  if (!items?.length) return null;
  return (
    <>
      <Typography variant="h3" sx={{ mt: 2, mb: 0.5 }}>
        {title}
      </Typography>
      <Box component="ul" sx={{ m: 0, pl: 2.5, "& li": { mb: 0.5 }, "& li::marker": { color: "primary.main" } }}>
        {items.map((item, index) => (
          <li key={index}>
            {typeof item === "string" ? item : item.text}{" "}
            {typeof item !== "string" && <Moment seconds={item.seconds} onPlay={onPlay} />}
          </li>
        ))}
      </Box>
    </>
  );
}

/** When something was said; a click plays it. */
function Moment({ seconds, onPlay }: { seconds?: number | null; onPlay: (seconds: number) => void }) {
  const { t } = useI18n();
  if (typeof seconds !== "number") return null;
  const time = formatClock(seconds);
  return (
    <Link
      component="button"
      variant="body2"
      onClick={() => onPlay(seconds)}
      aria-label={t("transcript.playFrom", { time })}
      sx={{ fontVariantNumeric: "tabular-nums", verticalAlign: "baseline" }}
    >
      {time}
    </Link>
  );
}
