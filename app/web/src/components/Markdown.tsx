import { Box } from "@mui/material";
import { isValidElement, memo, type ReactNode } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { MONO } from "../theme";
import { CopyButton } from "./CopyButton";
import { DiagramView } from "./DiagramView";

/**
 * A model's Markdown, safely: no raw HTML, no remote images (they would tell others what is read here), links that
 * cannot reach back. While the text still grows, Mermaid blocks stay text.
 */
export const Markdown = memo(function Markdown({ text, growing = false }: { text: string; growing?: boolean }) {
  const components: Components = {
    a: ({ href, children }) => (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ),
    img: ({ src, alt }) => (
      <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">
        {alt || (typeof src === "string" ? src : "")}
      </a>
    ),
    pre: ({ children }) => <CodeBlock growing={growing}>{children}</CodeBlock>,
  };
  return (
    <Box
      sx={{
        lineHeight: 1.65,
        overflowWrap: "anywhere",
        "& > :first-of-type": { mt: 0 },
        "& > :last-child": { mb: 0 },
        "& p": { my: 1 },
        "& h1, & h2, & h3, & h4": { fontFamily: "h2.fontFamily", fontSize: "1.08rem", mt: 2, mb: 0.75 },
        "& ul, & ol": { pl: 3, my: 1 },
        "& a": { color: "primary.main" },
        "& code": { fontFamily: MONO, fontSize: "0.86em", bgcolor: "frost.tint", px: 0.5, borderRadius: "4px" },
        "& pre code": { bgcolor: "transparent", p: 0, fontSize: "0.82rem" },
        "& table": { borderCollapse: "collapse", display: "block", overflowX: "auto", my: 1.5 },
        "& th, & td": { border: 1, borderColor: "divider", px: 1, py: 0.5, textAlign: "left" },
        "& blockquote": { borderLeft: "3px solid", borderColor: "frost.shelf", m: 0, pl: 1.5, color: "text.secondary" },
      }}
    >
      <ReactMarkdown remarkPlugins={[remarkGfm]} components={components} skipHtml>
        {text}
      </ReactMarkdown>
    </Box>
  );
});

function CodeBlock({ children, growing }: { children: ReactNode; growing: boolean }) {
  const { language, code } = contentOf(children);
  if (language === "mermaid" && !growing) return <DiagramView code={code} />;
  return (
    <Box sx={{ position: "relative", my: 1.5 }}>
      <Box sx={{ position: "absolute", top: 4, right: 4 }}>
        <CopyButton text={code} small />
      </Box>
      <Box
        component="pre"
        tabIndex={0}
        sx={{
          m: 0,
          p: 1.5,
          pr: 5,
          borderRadius: "8px",
          bgcolor: "frost.sunken",
          border: 1,
          borderColor: "divider",
          overflow: "auto",
        }}
      >
        {children}
      </Box>
    </Box>
  );
}

function contentOf(children: ReactNode): { language: string; code: string } {
  if (!isValidElement<{ className?: string; children?: ReactNode }>(children))
    return { language: "", code: String(children) };
  const { className = "", children: inner } = children.props;
  return { language: /language-(\S+)/.exec(className)?.[1] ?? "", code: String(inner ?? "").replace(/\n$/, "") };
}
