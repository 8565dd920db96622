import { Box, Typography } from "@mui/material";
import { useId, type ReactNode } from "react";

interface Props {
  title: string;
  icon?: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
}

/** A named compartment: a heading, its tools, a glass shelf under them. */
export function Card({ title, icon, tools, children }: Props) {
  const id = useId();
  return (
    <Box
      component="section"
      aria-labelledby={id}
      sx={{ bgcolor: "background.paper", borderRadius: "14px", border: 1, borderColor: "divider", minWidth: 0 }}
    >
      <Box
        sx={{
          display: "flex",
          alignItems: "center",
          flexWrap: "wrap",
          gap: 1,
          minHeight: 52,
          px: 2.5,
          py: 0.75,
          borderBottom: "3px solid",
          borderColor: "frost.shelf",
        }}
      >
        {icon && <Box sx={{ display: "flex", color: "primary.main" }}>{icon}</Box>}
        <Typography variant="h2" id={id} sx={{ flex: 1 }}>
          {title}
        </Typography>
        {tools}
      </Box>
      <Box sx={{ p: 2.5 }}>{children}</Box>
    </Box>
  );
}

export function Pending({ children }: { children: ReactNode }) {
  return <Typography color="textSecondary">{children}</Typography>;
}
