import { Box } from "@mui/material";
import { ChevronDown } from "lucide-react";
import type { ReactNode } from "react";

/** Something to open when one wants to know more. Native: Enter and Space open it, « Find in page » too. */
export function Disclosure({ label, open = false, children }: { label: string; open?: boolean; children: ReactNode }) {
  return (
    <Box
      component="details"
      open={open}
      sx={{
        mt: 1,
        "& summary::-webkit-details-marker": { display: "none" },
        "&[open] > summary .chevron": { transform: "rotate(180deg)" },
      }}
    >
      <Box
        component="summary"
        sx={{
          cursor: "pointer",
          display: "inline-flex",
          alignItems: "center",
          gap: 0.5,
          py: 0.25,
          listStyle: "none",
          fontSize: "0.88rem",
          fontWeight: 600,
          color: "primary.main",
        }}
      >
        <ChevronDown size={16} aria-hidden="true" className="chevron" />
        {label}
      </Box>
      {children}
    </Box>
  );
}
