import { Link, Typography } from "@mui/material";
import type { MouseEvent } from "react";
import { Outside } from "../../components/Linked";
import { useI18n } from "../../i18n";
import { hubPage, TOKEN_FORM } from "./hub";

/** What a model asks for before it can be fetched: its terms accepted on its page, and the hub's token. */
export function Terms({ hubId }: { hubId: string }) {
  const { t } = useI18n();
  return (
    <Typography variant="body2">
      {t("admin.gatedTerms")} <Outside href={hubPage(hubId)} text={hubId} />.{" "}
      <Link href={`#${TOKEN_FORM}`} color="inherit" onClick={toForm} sx={{ fontWeight: 600 }}>
        {t("admin.gatedToken")}
      </Link>
    </Typography>
  );
}

/** Brings the token's form into sight, ready to be filled. */
function toForm(event: MouseEvent): void {
  event.preventDefault();
  const form = document.getElementById(TOKEN_FORM);
  form?.scrollIntoView({ block: "center" });
  form?.querySelector("input")?.focus({ preventScroll: true });
}
