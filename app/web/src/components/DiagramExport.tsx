import { Alert, ListItemIcon, ListItemText, Menu, MenuItem, Snackbar } from "@mui/material";
import { Download, ExternalLink, FileCode2, Image, ImageOff, Shapes } from "lucide-react";
import { useEffect, useState } from "react";
import { useI18n } from "../i18n";
import { messageOf } from "../lib/api";
import { liveUrl } from "../lib/live";
import { FORMATS, saveDiagram, type Format } from "../lib/picture";
import { Tool } from "./Tool";

const ICONS = { mmd: FileCode2, svg: Shapes, png: Image, "png-transparent": ImageOff };

/** The diagram as a file (Mermaid, SVG, PNG), or in an editor elsewhere. */
export function DiagramExport({ code, name }: { code: string; name: string }) {
  const { t } = useI18n();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const [live, setLive] = useState<{ code: string; url: string } | null>(null);
  const [problem, setProblem] = useState("");
  const open = anchor !== null;
  const url = live?.code === code ? live.url : "";
  const close = (): void => setAnchor(null);
  const save = async (format: Format): Promise<void> => {
    close();
    try {
      await saveDiagram(code, name, format);
    } catch (reason) {
      setProblem(messageOf(reason));
    }
  };

  useEffect(() => {
    if (!open) return undefined;
    let stale = false;
    void liveUrl(code).then((made) => {
      if (!stale) setLive({ code, url: made });
    });
    return () => {
      stale = true;
    };
  }, [open, code]);

  return (
    <>
      <Tool
        label={t("diagram.export")}
        menu
        open={open}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <Download size={17} aria-hidden="true" />
      </Tool>
      <Menu open={open} anchorEl={anchor} onClose={close}>
        {FORMATS.map((format) => {
          const Icon = ICONS[format];
          return (
            <MenuItem key={format} onClick={() => void save(format)}>
              <ListItemIcon>
                <Icon size={18} aria-hidden="true" />
              </ListItemIcon>
              <ListItemText>{t(`diagram.export.${format}`)}</ListItemText>
            </MenuItem>
          );
        })}
        <MenuItem
          component="a"
          href={url || undefined}
          target="_blank"
          rel="noopener noreferrer"
          disabled={!url}
          divider={false}
          onClick={close}
          sx={{ borderTop: 1, borderColor: "divider", mt: 0.5, pt: 1, whiteSpace: "normal", maxWidth: 320 }}
        >
          <ListItemIcon>
            <ExternalLink size={18} aria-hidden="true" />
          </ListItemIcon>
          <ListItemText secondary={t("diagram.liveHelp")}>{t("diagram.live")}</ListItemText>
        </MenuItem>
      </Menu>
      <Snackbar open={problem !== ""} onClose={() => setProblem("")} autoHideDuration={8000}>
        <Alert severity="error" onClose={() => setProblem("")}>
          {t("diagram.exportFailed")} {problem}
        </Alert>
      </Snackbar>
    </>
  );
}
