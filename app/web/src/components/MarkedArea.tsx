import { Box } from "@mui/material";
import { useEffect, useId, useRef, type KeyboardEvent, type Ref } from "react";
import { MONO } from "../theme";

interface Span {
  start: number;
  end: number;
}

interface Props {
  label: string;
  /** The label is for readers of screens only: something else says it. */
  quiet?: boolean;
  help?: string;
  value: string;
  /** Left out: it is only read. */
  onChange?: (value: string) => void;
  onKeyDown?: (event: KeyboardEvent<HTMLTextAreaElement>) => void;
  placeholder?: string;
  mark: Span | null;
  /** What the mark is about: a place, or a fault. */
  tone?: "place" | "fault";
  code?: boolean;
  rows?: number;
  invalid?: boolean;
  areaRef?: Ref<HTMLTextAreaElement>;
}

const face = (code: boolean) =>
  ({
    boxSizing: "border-box",
    m: 0,
    px: 1.5,
    py: 1.25,
    border: "1px solid",
    fontFamily: code ? MONO : "inherit",
    fontSize: code ? "0.85rem" : "0.95rem",
    lineHeight: 1.6,
    letterSpacing: "normal",
    tabSize: 4,
    whiteSpace: "pre-wrap",
    overflowWrap: "break-word",
    overflowX: "hidden",
    overflowY: "scroll",
    borderRadius: "10px",
  }) as const;

/** A text area in which a part can be marked: the same text, unseen, lies behind it with the mark. */
export function MarkedArea({
  label,
  quiet = false,
  help,
  value,
  onChange,
  onKeyDown,
  placeholder,
  mark,
  tone = "place",
  code = false,
  rows = 10,
  invalid = false,
  areaRef,
}: Props) {
  const id = useId();
  const area = useRef<HTMLTextAreaElement | null>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const spot = useRef<HTMLElement>(null);
  const follow = (): void => {
    if (mirror.current && area.current) mirror.current.scrollTop = area.current.scrollTop;
  };
  const { start, end } = mark ?? { start: -1, end: -1 };

  // A place is brought into sight; a fault is where the person writes.
  useEffect(() => {
    if (start < 0 || tone !== "place" || !spot.current || !area.current) return;
    area.current.scrollTop = spot.current.offsetTop - area.current.clientHeight / 3;
    follow();
  }, [start, end, tone]);
  useEffect(follow, [value]);

  return (
    <Box>
      <Box
        component="label"
        htmlFor={id}
        className={quiet ? "visually-hidden" : undefined}
        sx={{ display: "block", fontWeight: 650, fontSize: "0.9rem", mb: 0.75 }}
      >
        {label}
      </Box>
      <Box sx={{ position: "relative", bgcolor: "background.paper", borderRadius: "10px" }}>
        <Box
          ref={mirror}
          aria-hidden="true"
          sx={{
            ...face(code),
            position: "absolute",
            inset: 0,
            borderColor: "transparent",
            color: "transparent",
            pointerEvents: "none",
            "& mark": {
              color: "transparent",
              borderRadius: "3px",
              ...(tone === "fault"
                ? { bgcolor: "rgba(255, 90, 80, .3)" }
                : { bgcolor: "rgba(255, 176, 60, .5)", boxShadow: "0 0 0 2px rgba(255, 176, 60, .5)" }),
            },
          }}
        >
          {mark && (
            <>
              {value.slice(0, start)}
              <mark ref={spot} data-testid="mark">
                {value.slice(start, end) || " "}
              </mark>
              {value.slice(end)}
              {/* Else a line that ends the text would not be there, and the two would not scroll as far. */}
              {"\u200b"}
            </>
          )}
        </Box>
        <Box
          component="textarea"
          id={id}
          ref={(element: HTMLTextAreaElement | null) => {
            area.current = element;
            if (typeof areaRef === "function") areaRef(element);
            else if (areaRef) areaRef.current = element;
          }}
          rows={rows}
          value={value}
          readOnly={!onChange}
          placeholder={placeholder}
          spellCheck={!code}
          autoCapitalize={code ? "none" : undefined}
          aria-invalid={invalid || undefined}
          aria-describedby={help ? `${id}-help` : undefined}
          onChange={(event: React.ChangeEvent<HTMLTextAreaElement>) => onChange?.(event.target.value)}
          onKeyDown={onKeyDown}
          onScroll={follow}
          sx={{
            ...face(code),
            display: "block",
            position: "relative",
            width: "100%",
            minHeight: 120,
            resize: "vertical",
            bgcolor: "transparent",
            color: "text.primary",
            borderColor: invalid ? "error.main" : "text.secondary",
            "&::placeholder": { color: "text.secondary", opacity: 1 },
            "&:focus": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: -1 },
          }}
        />
      </Box>
      {help && (
        <Box id={`${id}-help`} sx={{ typography: "caption", color: invalid ? "error.main" : "text.secondary", mt: 0.5 }}>
          {help}
        </Box>
      )}
    </Box>
  );
}
