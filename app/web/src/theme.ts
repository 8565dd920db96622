import { createTheme } from "@mui/material/styles";

/**
 * The look of Frigo: an enamelled door in ice blue, glass shelves, a few magnets for colour.
 * Every text/background pair below is at least 4.5:1 (WCAG AA).
 */

interface Frost {
  door: string;
  doorText: string;
  shelf: string;
  sunken: string;
  tint: string;
  /** What stands out on the door: the current page. */
  plate: string;
}

declare module "@mui/material/styles" {
  interface Palette {
    frost: Frost;
  }
  interface PaletteOptions {
    frost?: Frost;
  }
}

const BODY = '"Inter Variable", system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const DISPLAY = '"Bricolage Grotesque Variable", "Inter Variable", system-ui, sans-serif';
export const MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace';

const heading = (size: string, weight = 650) => ({
  fontFamily: DISPLAY,
  fontSize: size,
  fontWeight: weight,
  letterSpacing: "-0.012em",
  lineHeight: 1.2,
});

export const theme = createTheme({
  cssVariables: { cssVarPrefix: "frigo", colorSchemeSelector: '[data-theme="%s"]' },
  colorSchemes: {
    light: {
      palette: {
        primary: { main: "#0a6c80", contrastText: "#ffffff" },
        secondary: { main: "#b3431b", contrastText: "#ffffff" },
        success: { main: "#1f7a3d" },
        warning: { main: "#8f5600" },
        error: { main: "#b42323" },
        info: { main: "#0a6c80" },
        background: { default: "#eff6f8", paper: "#ffffff" },
        text: { primary: "#0c2730", secondary: "#45606a" },
        divider: "rgba(12, 39, 48, 0.13)",
        frost: {
          door: "#d3e9ed",
          doorText: "#123c48",
          shelf: "#bfe0e7",
          sunken: "#f4f9fa",
          tint: "#e0f1f4",
          plate: "#ffffff",
        },
      },
    },
    dark: {
      palette: {
        primary: { main: "#6fd4e3", contrastText: "#03222a" },
        secondary: { main: "#ff9d76", contrastText: "#2b0f04" },
        success: { main: "#7bd596" },
        warning: { main: "#f2b95f" },
        error: { main: "#ff8f86" },
        info: { main: "#6fd4e3" },
        background: { default: "#08141a", paper: "#0f2129" },
        text: { primary: "#e6f3f6", secondary: "#a0bac3" },
        divider: "rgba(176, 219, 230, 0.16)",
        frost: {
          door: "#0d2530",
          doorText: "#cfe9ef",
          shelf: "#1f4552",
          sunken: "#0b1a21",
          tint: "#14323d",
          plate: "#1c4250",
        },
      },
    },
  },
  shape: { borderRadius: 10 },
  typography: {
    fontFamily: BODY,
    fontSize: 14,
    h1: heading("clamp(1.6rem, 1.3rem + 1.2vw, 2.15rem)", 700),
    h2: heading("1.2rem"),
    h3: heading("1.02rem"),
    button: { textTransform: "none", fontWeight: 600 },
  },
  components: {
    MuiButton: { defaultProps: { disableElevation: true } },
    MuiPaper: { styleOverrides: { root: { backgroundImage: "none" } } },
    MuiTooltip: { defaultProps: { arrow: true, enterDelay: 350 } },
    MuiLinearProgress: { styleOverrides: { root: { borderRadius: 4, height: 6 } } },
    MuiTextField: { defaultProps: { size: "small" } },
    MuiChip: { styleOverrides: { root: { fontWeight: 550 } } },
    MuiAlert: { styleOverrides: { root: { borderRadius: 10 } } },
  },
});

/** Speakers' colours in a fixed order: legible on white in light mode, on the dark paper in dark mode. */
const SPEAKERS_LIGHT = ["#0a6c80", "#b3431b", "#6a3fa0", "#2f6f2f", "#a02868", "#7a5b00", "#2753b0", "#5c5048"];
const SPEAKERS_DARK = ["#6fd4e3", "#ff9d76", "#c4a3f5", "#8fd58a", "#ff9cc9", "#e6c558", "#93b4ff", "#cdbfb4"];

export function speakerColour(index: number, dark: boolean): string {
  const palette = dark ? SPEAKERS_DARK : SPEAKERS_LIGHT;
  return palette[index % palette.length] ?? "#0a6c80";
}
