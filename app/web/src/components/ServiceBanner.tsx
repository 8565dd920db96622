import { Alert, Box, Collapse } from "@mui/material";
import { useEffect, useRef, useState } from "react";
import { useI18n } from "../i18n";
import { request } from "../lib/api";
import { usePolling } from "../lib/hooks";
import type { ServiceStatus } from "../lib/types";

const EFFECTS = new Set(["app", "chat", "gpt", "asr", "diarize"]);
const CALM = 10_000;
const WORRIED = 3_000;

const isDown = (service: ServiceStatus): boolean => service.state === "down";

/** Says on every page which service is down, and goes by itself when it is back. */
export function ServiceBanner() {
  const { t } = useI18n();
  const { data, error } = usePolling(
    (signal) => request<{ services: ServiceStatus[] }>("/api/status", { signal }),
    (answer, failure) => (failure || answer?.services.some(isDown) ? WORRIED : CALM),
    [],
  );
  const down = (data?.services ?? []).filter(isDown).map((service) => service.name);
  const trouble = error !== null || down.length > 0;
  const severity = trouble ? "warning" : "success";
  const back = useBack(trouble);

  let text = "";
  if (error) text = t("banner.app");
  else if (down.length > 0) {
    const first = down[0] ?? "";
    const effect = down.length === 1 && EFFECTS.has(first) ? (first as "app") : "other";
    text = t("banner.down", { n: down.length, names: down.join(", "), effect: t(`banner.effect.${effect}`) });
  } else if (back) text = t("banner.back");

  // What sticks to the top of a page makes room for the banner.
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!host.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      document.documentElement.style.setProperty("--banner", `${Math.round(entry?.contentRect.height ?? 0)}px`);
    });
    observer.observe(host.current);
    return () => observer.disconnect();
  }, []);

  return (
    <Box ref={host} aria-live="polite" role="status" sx={{ position: "sticky", top: { xs: 56, md: 0 }, zIndex: 15 }}>
      <Collapse in={trouble || back} unmountOnExit>
        <Alert
          severity={severity}
          variant="filled"
          square
          sx={{
            borderRadius: 0,
            alignItems: "center",
            py: 0.25,
            bgcolor: `${severity}.main`, // its own choice for the dark theme is too pale to be read
            color: `${severity}.contrastText`,
          }}
        >
          {text}
        </Alert>
      </Collapse>
    </Box>
  );
}

/** True for a few seconds after trouble ends. */
function useBack(trouble: boolean): boolean {
  const [back, setBack] = useState(false);
  const was = useRef(false);
  useEffect(() => {
    const recovered = was.current && !trouble;
    was.current = trouble;
    setBack(recovered);
    if (!recovered) return undefined;
    const timer = setTimeout(() => setBack(false), 4000);
    return () => clearTimeout(timer);
  }, [trouble]);
  return back;
}
