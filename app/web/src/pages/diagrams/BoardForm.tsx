import { Alert, Box, TextField, ToggleButton, ToggleButtonGroup, Typography } from "@mui/material";
import { MarkedArea } from "../../components/MarkedArea";
import { useI18n } from "../../i18n";
import { boardBody, boardFrom, isEmptyBoard, SECTIONS } from "../../lib/board";
import { currentOf, type Work } from "../../lib/drawing";

interface Props {
  work: Work;
  set: (fields: Partial<Work>) => void;
  mark: { start: number; end: number } | null;
}

/** A Product Vision Board, section by section or as JSON; what one holds goes to the other. */
export function BoardForm({ work, set, mark }: Props) {
  const { t } = useI18n();
  const change = (input: "board" | "json"): void => {
    if (input === "json") {
      const json = isEmptyBoard(work.board) ? work.json : JSON.stringify(boardBody(work.board), null, 2);
      set({ input, json });
    } else {
      set({ input, board: boardFrom(work.json) ?? work.board });
    }
  };
  const stranger = work.input === "json" && work.json.trim() !== "" && boardFrom(work.json) === null;
  const read = currentOf(work)?.source;
  return (
    <Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 1.5, mb: 1.5 }}>
        <ToggleButtonGroup
          exclusive
          size="small"
          value={work.input}
          aria-label={t("draw.board.how")}
          onChange={(_, next: "board" | "json" | null) => next && change(next)}
        >
          <ToggleButton value="board">{t("draw.board.form")}</ToggleButton>
          <ToggleButton value="json">{t("draw.board.json")}</ToggleButton>
        </ToggleButtonGroup>
        <Typography variant="caption" color="textSecondary" sx={{ flex: "1 1 200px" }}>
          {t("draw.board.help")}
        </Typography>
      </Box>
      {work.input === "board" ? (
        <Box sx={{ display: "grid", gap: 1.5 }}>
          {SECTIONS.map((section) => (
            <TextField
              key={section}
              multiline
              minRows={section === "summary" ? 1 : 2}
              maxRows={8}
              label={t(`draw.board.${section}`)}
              value={work.board[section]}
              onChange={(event) => set({ board: { ...work.board, [section]: event.target.value } })}
            />
          ))}
        </Box>
      ) : (
        <>
          <MarkedArea
            label={t("draw.board.jsonLabel")}
            quiet
            code
            value={work.json}
            onChange={(json) => set({ json })}
            mark={null}
            rows={12}
            placeholder={'{\n  "1. Utilisateur Cible": ["…"],\n  "2. Description du Produit": ["…"],\n  "Summary": "…"\n}'}
          />
          {stranger && (
            <Alert severity="info" sx={{ mt: 1 }}>
              {t("draw.board.unknown")}
            </Alert>
          )}
        </>
      )}
      {read && mark && (
        <Box sx={{ mt: 2 }}>
          <MarkedArea label={t("draw.board.read")} value={read} mark={mark} rows={6} />
        </Box>
      )}
    </Box>
  );
}
