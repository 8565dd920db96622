import { Box, IconButton, Menu, MenuItem, ListItemIcon, Tooltip } from "@mui/material";
import { useColorScheme } from "@mui/material/styles";
import { Check, Monitor, Moon, Sun } from "lucide-react";
import { useState } from "react";
import { useI18n, type Lang } from "../i18n";

const MODES = ["system", "light", "dark"] as const;
const MODE_ICON = { system: Monitor, light: Sun, dark: Moon };

/** Language (two buttons) and theme (a menu). */
export function Preferences() {
  const { t, lang, setLang } = useI18n();
  const { mode, setMode } = useColorScheme();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const current = mode ?? "system";
  const Icon = MODE_ICON[current];

  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 1 }}>
      <Box
        role="group"
        aria-label={t("app.language")}
        sx={{ display: "flex", borderRadius: "8px", border: 1, borderColor: "divider", overflow: "hidden" }}
      >
        {(["fr", "en"] as Lang[]).map((code) => (
          <Box
            key={code}
            component="button"
            type="button"
            lang={code}
            aria-pressed={lang === code}
            aria-label={code === "fr" ? "fr, Français" : "en, English"}
            onClick={() => setLang(code)}
            sx={{
              all: "unset",
              cursor: "pointer",
              fontSize: "0.78rem",
              fontWeight: 700,
              px: 1.1,
              py: 0.75,
              textTransform: "uppercase",
              bgcolor: lang === code ? "frost.plate" : "transparent",
              "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: -2 },
            }}
          >
            {code}
          </Box>
        ))}
      </Box>
      <Tooltip title={t("app.theme")}>
        <IconButton
          size="small"
          color="inherit"
          aria-label={t("app.theme")}
          aria-haspopup="menu"
          aria-expanded={anchor !== null}
          onClick={(event) => setAnchor(event.currentTarget)}
        >
          <Icon size={18} aria-hidden="true" />
        </IconButton>
      </Tooltip>
      <Menu open={anchor !== null} anchorEl={anchor} onClose={() => setAnchor(null)}>
        {MODES.map((option) => {
          const OptionIcon = MODE_ICON[option];
          return (
            <MenuItem
              key={option}
              selected={current === option}
              onClick={() => {
                setMode(option);
                setAnchor(null);
              }}
            >
              <ListItemIcon>
                <OptionIcon size={18} aria-hidden="true" />
              </ListItemIcon>
              {t(`app.theme.${option}`)}
              {current === option && <Check size={16} aria-hidden="true" style={{ marginLeft: 12 }} />}
            </MenuItem>
          );
        })}
      </Menu>
    </Box>
  );
}
