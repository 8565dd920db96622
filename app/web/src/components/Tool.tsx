import { IconButton, Tooltip } from "@mui/material";
import type { MouseEvent, ReactNode } from "react";

interface Props {
  label: string;
  /** Opens a menu, which is `open`. */
  menu?: boolean;
  open?: boolean;
  disabled?: boolean;
  onClick: (event: MouseEvent<HTMLElement>) => void;
  children: ReactNode;
}

/** A small button that is an icon, and says what it does. */
export function Tool({ label, menu = false, open = false, disabled = false, onClick, children }: Props) {
  return (
    <Tooltip title={disabled ? "" : label}>
      <span>
        <IconButton
          size="small"
          aria-label={label}
          aria-haspopup={menu ? "menu" : undefined}
          aria-expanded={menu ? open : undefined}
          disabled={disabled}
          onClick={onClick}
        >
          {children}
        </IconButton>
      </span>
    </Tooltip>
  );
}
