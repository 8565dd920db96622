import { Link } from "@mui/material";
import { splitLinks } from "../lib/links";

/** A sentence of the server, its addresses as links. */
export function Linked({ text }: { text: string }) {
  return (
    <>
      {splitLinks(text).map(({ text: piece, href }, index) =>
        href ? (
          <Outside key={index} href={href} text={piece} />
        ) : (
          piece
        ),
      )}
    </>
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
