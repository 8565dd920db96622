import { Box, Typography } from "@mui/material";
import { Redo2, Undo2 } from "lucide-react";
import { Tool } from "../../components/Tool";
import { useI18n, type Translate } from "../../i18n";
import type { Key } from "../../i18n/fr";
import { after, before, type Version, type Work } from "../../lib/drawing";
import { DIAGRAM_KINDS } from "../../lib/types";

const KNOWN = new Set<string>(DIAGRAM_KINDS);

export const kindName = (t: Translate, kind: string | undefined): string =>
  kind && KNOWN.has(kind) ? t(`draw.kind.${kind}` as Key) : (kind ?? "Mermaid");

function whatWasDone({ by, said, diagram }: Version, t: Translate): string {
  if (by === "refine") return said;
  return by === "hand" ? t("draw.version.hand") : t("draw.version.draw", { kind: kindName(t, diagram.kind) });
}

interface Props {
  work: Work;
  set: (fields: Partial<Work>) => void;
  disabled: boolean;
}

/** Every version of the diagram: one click shows it again; undo and redo follow what was made from what. */
export function History({ work, set, disabled }: Props) {
  const { t } = useI18n();
  const undo = before(work);
  const redo = after(work);
  const show = (version: Version | null): void => {
    if (version) set({ current: version.id, draft: null });
  };
  return (
    <Box component="section" aria-label={t("draw.history")} sx={{ borderTop: 1, borderColor: "divider", mt: 2, pt: 1.5 }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 0.5 }}>
        <Typography variant="h3" sx={{ flex: 1 }}>
          {t("draw.history")}
        </Typography>
        <Tool label={t("draw.undo")} disabled={!undo || disabled} onClick={() => show(undo)}>
          <Undo2 size={18} aria-hidden="true" />
        </Tool>
        <Tool label={t("draw.redo")} disabled={!redo || disabled} onClick={() => show(redo)}>
          <Redo2 size={18} aria-hidden="true" />
        </Tool>
      </Box>
      <Box component="ol" sx={{ listStyle: "none", m: 0, mt: 0.5, p: 0, display: "flex", flexWrap: "wrap", gap: 0.75 }}>
        {work.versions.map((version, index) => {
          const current = version.id === work.current;
          const done = whatWasDone(version, t);
          return (
            <Box component="li" key={version.id} sx={{ minWidth: 0, maxWidth: "100%" }}>
              <Box
                component="button"
                type="button"
                aria-current={current ? "true" : undefined}
                aria-label={t("draw.version.label", { n: index + 1, said: done })}
                title={done}
                disabled={disabled}
                onClick={() => show(version)}
                sx={{
                  font: "inherit",
                  fontSize: "0.82rem",
                  color: "text.primary",
                  cursor: "pointer",
                  px: 1.25,
                  py: 0.5,
                  borderRadius: "8px",
                  border: 1,
                  borderColor: current ? "primary.main" : "divider",
                  bgcolor: current ? "frost.tint" : "transparent",
                  fontWeight: current ? 650 : 450,
                  maxWidth: "min(100%, 260px)",
                  overflow: "hidden",
                  textOverflow: "ellipsis",
                  whiteSpace: "nowrap",
                  "&:hover": { borderColor: "primary.main" },
                }}
              >
                {index + 1}. {done}
              </Box>
            </Box>
          );
        })}
      </Box>
    </Box>
  );
}
