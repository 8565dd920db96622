import type { Meeting } from "./types";

/** What app calls somebody until a person gives a name. */
const NUMBERED = /^(intervenant|speaker)[ _]\d+$/i;

/** Whether `name` can be anybody's: a voice is not remembered under « Intervenant 2 ». */
export const isPersonal = (name: string): boolean => name.trim() !== "" && !NUMBERED.test(name.trim());

/** How alike the voice of `speaker` is to the one that gave them their name, 0 to 1; null when they were not recognised. */
export function likeness(meeting: Pick<Meeting, "recognised" | "speakers">, speaker: string): number | null {
  const found = meeting.recognised?.[speaker];
  if (!found || found.similarity === null || found.name !== meeting.speakers[speaker]) return null;
  return Math.min(1, Math.max(0, found.similarity));
}

/** The fields to send for « between `least` and `most` people »; a bound left open is left out. */
export function countFields(choice: string, least: string, most: string): Record<string, string> {
  if (choice !== RANGE) return choice ? { num_speakers: choice } : {};
  const [low, high] = [Number(least) || 0, Number(most) || 0];
  if (low && high && low === high) return { num_speakers: String(low) };
  return { ...(low > 1 ? { min_speakers: String(low) } : {}), ...(high ? { max_speakers: String(high) } : {}) };
}

export const RANGE = "range";
