import { Box, Chip, Typography } from "@mui/material";
import { Check, Loader, TriangleAlert } from "lucide-react";
import { Disclosure } from "../../components/Disclosure";
import { useI18n } from "../../i18n";
import type { ToolRun } from "../../lib/chats";
import { inOneLine, readable } from "../../lib/runs";
import { MONO } from "../../theme";

/** What a model that thinks says to itself, folded. */
export function Reasoning({ text, now }: { text: string; now: boolean }) {
  const { t } = useI18n();
  return (
    <Box sx={{ mb: 1 }}>
      <Disclosure label={t(now ? "chat.reasoningNow" : "chat.reasoning")}>
        <Box
          sx={{
            mt: 0.5,
            pl: 1.5,
            borderLeft: "3px solid",
            borderColor: "frost.shelf",
            color: "text.secondary",
            fontSize: "0.9rem",
            lineHeight: 1.6,
            whiteSpace: "pre-wrap",
            overflowWrap: "anywhere",
          }}
        >
          {text}
        </Box>
      </Disclosure>
    </Box>
  );
}

const LOOK = {
  running: { icon: Loader, colour: "primary", text: "chat.toolRunning" },
  done: { icon: Check, colour: "success", text: "chat.toolDone" },
  error: { icon: TriangleAlert, colour: "error", text: "chat.toolError" },
} as const;

/** Each use of a tool: what was asked and what it gave, folded. */
export function Runs({ runs, titles }: { runs: readonly ToolRun[]; titles: ReadonlyMap<string, string> }) {
  return (
    <Box component="ul" sx={{ listStyle: "none", m: 0, mb: 1, p: 0, display: "grid", gap: 0.5 }}>
      {runs.map((run) => (
        <Run key={run.id} run={run} title={titles.get(run.name) ?? run.name} />
      ))}
    </Box>
  );
}

function Run({ run, title }: { run: ToolRun; title: string }) {
  const { t } = useI18n();
  const look = LOOK[run.state] ?? LOOK.done;
  const Icon = look.icon;
  const input = inOneLine(run.arguments);
  return (
    <Box
      component="li"
      sx={{ border: 1, borderColor: "divider", borderRadius: "10px", px: 1.25, pb: 0.75, bgcolor: "background.paper" }}
    >
      <Box sx={{ display: "flex", alignItems: "flex-start", gap: 1 }}>
        <Box sx={{ flex: 1, minWidth: 0, overflowWrap: "anywhere", mt: -0.25 }}>
          <Disclosure label={input ? t("chat.toolRun", { name: title, input }) : title}>
            <Block label={t("chat.toolAsked")} text={readable(run.arguments)} />
            {run.state !== "running" && <Block label={t("chat.toolGave")} text={readable(run.result)} />}
          </Disclosure>
        </Box>
        <Chip
          size="small"
          variant="outlined"
          color={look.colour}
          label={t(look.text)}
          icon={<Icon size={13} aria-hidden="true" style={{ marginLeft: 7 }} />}
          sx={{ mt: 0.9 }}
        />
      </Box>
    </Box>
  );
}

function Block({ label, text }: { label: string; text: string }) {
  return (
    <Box sx={{ mt: 0.75 }}>
      <Typography variant="caption" color="textSecondary">
        {label}
      </Typography>
      <Box
        component="pre"
        tabIndex={0}
        aria-label={label}
        sx={{
          m: 0,
          p: 1,
          maxHeight: 260,
          overflow: "auto",
          borderRadius: "8px",
          bgcolor: "frost.sunken",
          fontFamily: MONO,
          fontSize: "0.8rem",
          whiteSpace: "pre-wrap",
          overflowWrap: "anywhere",
        }}
      >
        {text || "–"}
      </Box>
    </Box>
  );
}
