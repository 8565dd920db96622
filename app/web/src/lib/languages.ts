import type { Lang } from "../i18n";

/** Those asked for most, in this order; then the others that a model of the catalogue knows, by name. */
export const USUAL_LANGUAGES = ["fr", "en"] as const;
const OTHERS =
  "ar bg ca cs da de el es et fi he hr hu it ja ko lt lv mt nb nl pl pt ro ru sk sl sv tr uk vi zh".split(" ");

/** « es » → « Espagnol », in the language of the page; the code itself when the browser does not know it. */
export function languageName(code: string, lang: Lang): string {
  let name = code;
  try {
    name = new Intl.DisplayNames([lang], { type: "language" }).of(code) ?? code;
  } catch {
    // Not a language code.
  }
  return name.charAt(0).toLocaleUpperCase() + name.slice(1);
}

/** The other languages, as [code, name], in the order of their names. */
export function otherLanguages(lang: Lang): [string, string][] {
  return OTHERS.map((code): [string, string] => [code, languageName(code, lang)]).sort((a, b) =>
    a[1].localeCompare(b[1], lang),
  );
}
