import { Box, Chip, Popover, Switch, Typography } from "@mui/material";
import { Wrench } from "lucide-react";
import { useId, useState } from "react";
import { useI18n } from "../../i18n";
import type { Tools } from "./useTools";

/** Which tools of the server the model may use. */
export function ToolsButton({ tools }: { tools: Tools }) {
  const { t } = useI18n();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const id = useId();
  if (tools.all.length === 0) return null;
  const count = tools.on.length;
  return (
    <>
      <Chip
        component="button"
        type="button"
        aria-haspopup="dialog"
        aria-expanded={anchor !== null}
        icon={<Wrench size={15} aria-hidden="true" style={{ marginLeft: 9 }} />}
        label={count ? t("chat.toolsOn", { n: count }) : t("chat.tools")}
        color={count ? "primary" : "default"}
        variant={count ? "filled" : "outlined"}
        onClick={(event) => setAnchor(event.currentTarget)}
      />
      <Popover
        open={anchor !== null}
        anchorEl={anchor}
        onClose={() => setAnchor(null)}
        anchorOrigin={{ vertical: "top", horizontal: "left" }}
        transformOrigin={{ vertical: "bottom", horizontal: "left" }}
        slotProps={{
          paper: {
            role: "dialog",
            "aria-label": t("chat.tools"),
            sx: { p: 2, width: 360, maxWidth: "calc(100vw - 32px)" },
          },
        }}
      >
        <Typography variant="body2" color="textSecondary" sx={{ mb: 1 }}>
          {t("chat.toolsHelp")}
        </Typography>
        {tools.all.map((tool) => (
          <Box
            key={tool.name}
            component="label"
            sx={{ display: "flex", gap: 1, py: 0.75, cursor: tool.available ? "pointer" : "default" }}
          >
            <Switch
              size="small"
              checked={tools.on.includes(tool.name)}
              disabled={!tool.available}
              onChange={() => tools.toggle(tool.name)}
              slotProps={{ input: { "aria-describedby": `${id}-${tool.name}`, "aria-label": tool.title } }}
              sx={{ mt: 0.25 }}
            />
            <Box sx={{ minWidth: 0 }}>
              <Typography sx={{ fontWeight: 600, lineHeight: 1.4 }}>{tool.title}</Typography>
              <Typography variant="body2" color="textSecondary" id={`${id}-${tool.name}`}>
                {tool.available || !tool.reason ? tool.description : t("chat.toolAbsent", { reason: tool.reason })}
              </Typography>
            </Box>
          </Box>
        ))}
      </Popover>
    </>
  );
}
