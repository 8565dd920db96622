import { useCallback, useEffect, useState } from "react";
import { translate, useI18n } from "../../i18n";
import { isAbort, request, RequestError, send } from "../../lib/api";
import { readEvents } from "../../lib/sse";
import { TERMINAL, type KnownVoice, type Meeting } from "../../lib/types";

const RECONNECT_MS = 2500;

export interface LiveMeeting {
  meeting: Meeting | null;
  error: Error | null;
  /** The live connection is down and being made again. */
  interrupted: boolean;
  set: (meeting: Meeting) => void;
  reload: () => void;
}

const pathOf = (id: string): string => `/api/meetings/${encodeURIComponent(id)}`;

/** A meeting as it goes: read once, then followed by server-sent events until it is over. Recovers by itself. */
export function useMeeting(id: string): LiveMeeting {
  const { lang } = useI18n();
  const [meeting, set] = useState<Meeting | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [interrupted, setInterrupted] = useState(false);
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((n) => n + 1), []);

  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    request<Meeting>(pathOf(id), { signal: controller.signal }).then(
      (answer) => {
        set(answer);
        setError(null);
      },
      (reason: unknown) => {
        if (isAbort(reason)) return;
        setError(reason instanceof Error ? reason : new Error(translate("error.unexpected")));
        if (!(reason instanceof RequestError && reason.status === 404)) timer = setTimeout(reload, RECONNECT_MS);
      },
    );
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id, turn, lang, reload]);

  const live = meeting !== null && !TERMINAL.has(meeting.state);
  useEffect(() => {
    if (!live) {
      setInterrupted(false);
      return undefined;
    }
    const controller = new AbortController();
    const { signal } = controller;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // fetch rather than EventSource, which cannot send the language of the page.
    const follow = async (): Promise<boolean> => {
      const response = await send(`${pathOf(id)}/events`, { signal, headers: { Accept: "text/event-stream" } });
      if (!response.body) return false;
      setInterrupted(false);
      for await (const { event, data } of readEvents(response.body)) {
        if (signal.aborted) return true;
        if (event !== "meeting") continue;
        const next = JSON.parse(data) as Meeting;
        set(next);
        if (TERMINAL.has(next.state)) return true;
      }
      return false;
    };
    const again = (): void => {
      if (signal.aborted) return;
      setInterrupted(true);
      // Read it all again: the meeting may be over, or gone.
      timer = setTimeout(reload, RECONNECT_MS);
    };
    follow().then((over) => {
      if (!over) again();
    }, again);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id, live, turn, lang, reload]);

  return { meeting, error, interrupted, set, reload };
}

export const changeMeeting = (
  id: string,
  change: { title?: string; speakers?: Record<string, string> },
): Promise<Meeting> => request<Meeting>(pathOf(id), { method: "PATCH", json: change });

export const actOnMeeting = (id: string, action: "cancel" | "retry"): Promise<unknown> =>
  request(`${pathOf(id)}/${action}`, { method: "POST" });

/** Let the voice that `speaker` has in this meeting be known, from now on, as `name`'s. */
export const rememberVoice = (id: string, speaker: string, name: string): Promise<KnownVoice> =>
  request<KnownVoice>(`${pathOf(id)}/speakers/${encodeURIComponent(speaker)}/voice`, { method: "POST", json: { name } });

export const audioUrl = (id: string): string => `${pathOf(id)}/audio`;

export const exportUrl = (id: string, kind: string): string => `${pathOf(id)}/export.${kind}`;
