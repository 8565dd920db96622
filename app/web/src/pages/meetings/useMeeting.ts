import { useCallback, useEffect, useState } from "react";
import { translate } from "../../i18n";
import { isAbort, request, RequestError } from "../../lib/api";
import { TERMINAL, type Meeting } from "../../lib/types";

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
  }, [id, turn, reload]);

  const live = meeting !== null && !TERMINAL.has(meeting.state);
  useEffect(() => {
    if (!live) {
      setInterrupted(false);
      return undefined;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const source = new EventSource(`${pathOf(id)}/events`);
    source.onopen = () => setInterrupted(false);
    source.addEventListener("meeting", (event) => {
      setInterrupted(false);
      const next = JSON.parse((event as MessageEvent<string>).data) as Meeting;
      if (TERMINAL.has(next.state)) source.close();
      set(next);
    });
    source.onerror = () => {
      setInterrupted(true);
      // The browser comes back by itself after a cut, but gives up after an error answer: then read it all again.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(reload, RECONNECT_MS);
    };
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, [id, live, turn, reload]);

  return { meeting, error, interrupted, set, reload };
}

export const changeMeeting = (id: string, change: { title?: string; speakers?: Record<string, string> }): Promise<Meeting> =>
  request<Meeting>(pathOf(id), { method: "PATCH", json: change });

export const actOnMeeting = (id: string, action: "cancel" | "retry"): Promise<unknown> =>
  request(`${pathOf(id)}/${action}`, { method: "POST" });

export const audioUrl = (id: string): string => `${pathOf(id)}/audio`;

export const exportUrl = (id: string, kind: string): string => `${pathOf(id)}/export.${kind}`;
