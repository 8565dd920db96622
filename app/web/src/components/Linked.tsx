import { Box, Link } from "@mui/material";
import { Fragment } from "react";
import { typeset, useI18n } from "../i18n";
import { splitCode } from "../lib/code";
import { splitLinks } from "../lib/links";
import { MONO } from "../theme";
import { CopyButton } from "./CopyButton";

/** A sentence of the server: its addresses as links, its commands as code that can be copied. */
export function Linked({ text }: { text: string }) {
  const { lang } = useI18n();
  return splitCode(lang === "fr" ? typeset(text) : text).map(({ text: part, code }, index) =>
    code ? (
      <Command key={index} text={part} />
    ) : (
      <Fragment key={index}>
        {splitLinks(part).map(({ text: piece, href }, at) =>
          href ? <Outside key={at} href={href} text={piece} /> : piece,
        )}
      </Fragment>
    ),
  );
}

/** A command to type in a terminal. */
function Command({ text }: { text: string }) {
  const { t } = useI18n();
  return (
    <Box component="span" sx={{ display: "inline-flex", alignItems: "center", maxWidth: "100%", verticalAlign: "middle" }}>
      <Box
        component="code"
        sx={{
          fontFamily: MONO,
          fontSize: "0.92em",
          px: 0.75,
          py: 0.25,
          borderRadius: "6px",
          bgcolor: "frost.tint",
          color: "frost.doorText",
          overflowWrap: "anywhere",
        }}
      >
        {text}
      </Box>
      <CopyButton text={text} label={t("admin.copyCommand")} small />
    </Box>
  );
}

/** A link to another site, in a new tab that knows nothing of this one. */
export function Outside({ href, text }: { href: string; text: string }) {
  return (
    <Link href={href} target="_blank" rel="noopener noreferrer" color="inherit" sx={{ overflowWrap: "anywhere" }}>
      {text}
    </Link>
  );
}
