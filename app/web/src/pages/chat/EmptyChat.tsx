import { Box, Button, Typography } from "@mui/material";
import { Workflow } from "lucide-react";
import { Logo } from "../../components/Logo";
import { useI18n } from "../../i18n";

const QUESTIONS = ["chat.suggest.what", "chat.suggest.data", "chat.suggest.model"] as const;

/** The magnets on the door of an empty chat. */
export function EmptyChat({ onAsk, onDraw }: { onAsk: (text: string) => void; onDraw: (text: string) => void }) {
  const { t } = useI18n();
  const magnet = {
    justifyContent: "flex-start",
    textAlign: "left",
    bgcolor: "background.paper",
    color: "text.primary",
    borderColor: "divider",
    py: 1.25,
    px: 2,
    "&:hover": { borderColor: "primary.main", bgcolor: "frost.tint" },
  } as const;
  return (
    <Box sx={{ pt: { xs: 2, md: 8 } }}>
      <Logo size={60} />
      <Typography variant="h1" component="p" sx={{ mt: 2 }}>
        {t("chat.emptyTitle")}
      </Typography>
      <Typography color="textSecondary" sx={{ mt: 1, mb: 3, maxWidth: "58ch" }}>
        {t("chat.emptyText")}
      </Typography>
      <Box sx={{ display: "grid", gap: 1.25, gridTemplateColumns: { xs: "1fr", sm: "1fr 1fr" }, maxWidth: 620 }}>
        {QUESTIONS.map((key) => (
          <Button key={key} variant="outlined" sx={magnet} onClick={() => onAsk(t(key))}>
            {t(key)}
          </Button>
        ))}
        <Button
          variant="outlined"
          sx={{ ...magnet, borderColor: "primary.main", color: "primary.main" }}
          startIcon={<Workflow size={18} aria-hidden="true" />}
          onClick={() => onDraw(t("chat.drawExample"))}
        >
          {t("chat.suggest.draw")}
        </Button>
      </Box>
    </Box>
  );
}
