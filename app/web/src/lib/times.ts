/** Times of a recording in a sentence of the server: « 00:12-00:15, 1:02:03 ». */

export interface TimePiece {
  text: string;
  /** Where it begins and, for a span, ends, in seconds; both absent from plain text. */
  start?: number;
  end?: number;
}

const CLOCK = String.raw`(?:\d{1,2}:[0-5]\d:[0-5]\d|\d{1,2}:[0-5]\d)`;
const TIMES = new RegExp(String.raw`(?<![\w:.,])(${CLOCK})(?:\s?[-–]\s?(${CLOCK}))?(?![\w:])`, "g");

/** « 1:02:03 » → 3723. */
export const secondsOf = (clock: string): number => clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);

/** The sentence cut where it names a moment of a recording of `duration` seconds; its pieces make it again. */
export function splitTimes(text: string, duration: number): TimePiece[] {
  const pieces: TimePiece[] = [];
  let from = 0;
  for (const found of text.matchAll(TIMES)) {
    const [whole, first = "", last] = found;
    const start = secondsOf(first);
    const end = last === undefined ? undefined : secondsOf(last);
    if (start > duration || (end !== undefined && end < start)) continue;
    if (found.index > from) pieces.push({ text: text.slice(from, found.index) });
    pieces.push({ text: whole, start, ...(end === undefined ? {} : { end }) });
    from = found.index + whole.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from) });
  return pieces;
}
