import { Box, Link as MuiLink, Typography } from "@mui/material";
import { AudioWaveform, Gauge, MessagesSquare, Refrigerator, Workflow, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { useI18n } from "../i18n";
import type { Key } from "../i18n/fr";
import { Logo } from "./Logo";
import { Preferences } from "./Preferences";
import { ServiceBanner } from "./ServiceBanner";

const PAGES: readonly { path: string; key: Key; icon: LucideIcon }[] = [
  { path: "/reunions", key: "nav.meetings", icon: Refrigerator },
  { path: "/voix", key: "nav.voices", icon: AudioWaveform },
  { path: "/discussion", key: "nav.chat", icon: MessagesSquare },
  { path: "/diagrammes", key: "nav.diagrams", icon: Workflow },
  { path: "/supervision", key: "nav.admin", icon: Gauge },
];

export const BOTTOM_BAR = 60;

/** The door on the left (a bar at the bottom on phones), the inside on the right. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useI18n();
  const [location] = useLocation();
  return (
    <Box sx={{ display: "flex", minHeight: "100%", flexDirection: { xs: "column", md: "row" } }}>
      <MuiLink
        href="#contenu"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("contenu")?.focus();
        }}
        sx={{
          position: "fixed",
          top: 8,
          left: 8,
          zIndex: 2000,
          bgcolor: "background.paper",
          px: 2,
          py: 1,
          borderRadius: 1,
          transform: "translateY(-200%)",
          "&:focus": { transform: "none" },
        }}
      >
        {t("app.skip")}
      </MuiLink>

      <Box
        component="header"
        sx={(theme) => ({
          bgcolor: "frost.door",
          color: "frost.doorText",
          position: "sticky",
          top: 0,
          zIndex: 20,
          display: "flex",
          alignItems: "center",
          gap: 1,
          px: 2,
          height: 56,
          [theme.breakpoints.up("md")]: {
            flexDirection: "column",
            alignItems: "stretch",
            height: "100vh",
            width: 216,
            flex: "none",
            p: 2,
            pt: 3,
            boxShadow: "inset -1px 0 0 rgba(12,39,48,.14)",
          },
        })}
      >
        <Box
          sx={{
            display: "flex",
            alignItems: "center",
            gap: 1.25,
            px: { md: 1 },
            mb: { md: 3 },
            flex: { xs: 1, md: "none" },
          }}
        >
          <Logo size={36} />
          <Typography
            component="span"
            sx={{ font: "inherit", fontFamily: "h1.fontFamily", typography: "h1", fontSize: "1.5rem" }}
          >
            Frigo
          </Typography>
        </Box>

        <Box
          component="nav"
          aria-label={t("nav.label")}
          sx={(theme) => ({
            display: "flex",
            position: "fixed",
            left: 0,
            right: 0,
            bottom: 0,
            zIndex: 30,
            height: `calc(${BOTTOM_BAR}px + env(safe-area-inset-bottom))`,
            pb: "env(safe-area-inset-bottom)",
            bgcolor: "frost.door",
            borderTop: 1,
            borderColor: "divider",
            [theme.breakpoints.up("md")]: {
              position: "static",
              flexDirection: "column",
              gap: 0.75,
              height: "auto",
              bgcolor: "transparent",
              borderTop: 0,
            },
          })}
        >
          {PAGES.map(({ path, key, icon: Icon }) => {
            const current = location === path || location.startsWith(`${path}/`);
            return (
              <Box
                key={path}
                component={Link}
                href={path}
                aria-current={current ? "page" : undefined}
                sx={(theme) => ({
                  flex: 1,
                  display: "flex",
                  flexDirection: "column",
                  alignItems: "center",
                  justifyContent: "center",
                  gap: 0.25,
                  color: "inherit",
                  textDecoration: "none",
                  minWidth: 0,
                  // Five words side by side on the smallest phones.
                  fontSize: "clamp(0.66rem, 3.05vw, 0.75rem)",
                  fontWeight: current ? 700 : 550,
                  position: "relative",
                  "& svg": { opacity: current ? 1 : 0.8 },
                  "&:focus-visible": { outlineOffset: -3 },
                  // The handle of the door marks where we are.
                  "&::before": {
                    content: '""',
                    position: "absolute",
                    borderRadius: 4,
                    bgcolor: current ? "primary.main" : "transparent",
                    top: { xs: 0, md: "22%" },
                    left: { xs: "auto", md: -9 },
                    width: { xs: 44, md: 5 },
                    height: { xs: 4, md: "56%" },
                  },
                  [theme.breakpoints.up("md")]: {
                    flex: "none",
                    flexDirection: "row",
                    justifyContent: "flex-start",
                    gap: 1.5,
                    px: 1.75,
                    py: 1.25,
                    borderRadius: "10px",
                    fontSize: "0.95rem",
                    bgcolor: current ? "frost.plate" : "transparent",
                    boxShadow: current ? "0 1px 2px rgba(6,40,52,.18), 0 3px 10px rgba(6,40,52,.06)" : "none",
                    "&:hover": { bgcolor: current ? "frost.plate" : "rgba(255,255,255,.28)" },
                    '[data-theme="dark"] &:hover': { bgcolor: current ? "frost.plate" : "rgba(255,255,255,.05)" },
                  },
                })}
              >
                <Icon size={20} aria-hidden="true" />
                {t(key)}
              </Box>
            );
          })}
        </Box>

        <Box sx={{ mt: { md: "auto" } }}>
          <Typography sx={{ display: { xs: "none", md: "block" }, fontSize: "0.8rem", opacity: 0.85, px: 1, mb: 1.5 }}>
            {t("app.tagline")}
          </Typography>
          <Preferences />
        </Box>
      </Box>

      <Box
        sx={{ flex: 1, minWidth: 0, display: "flex", flexDirection: "column", pb: { xs: `${BOTTOM_BAR}px`, md: 0 } }}
      >
        <ServiceBanner />
        <Box
          component="main"
          id="contenu"
          tabIndex={-1}
          sx={{ flex: 1, minHeight: 0, outline: "none", display: "flex", flexDirection: "column" }}
        >
          {children}
        </Box>
      </Box>
    </Box>
  );
}

/** The usual frame of a page's content. */
export function Page({ children, wide = false }: { children: ReactNode; wide?: boolean }) {
  return (
    <Box
      sx={{
        width: "100%",
        maxWidth: wide ? 1480 : 1080,
        mx: "auto",
        px: { xs: 2, sm: 3, lg: 4 },
        py: { xs: 2.5, md: wide ? 3 : 4 },
      }}
    >
      {children}
    </Box>
  );
}
